"""Codecs: a vector as fewer bytes. What is sent is the payload, so the world counts its bytes.

    fp32           the vector itself (whatever its dtype)
    bf16, fp16     rounded to 16 bits
    sign           1 bit an element, times mean |v|            Seide 2014; Karimireddy 2019 (1901.09847)
    topk:RATIO     the largest RATIO of the elements           Stich 2018 (1809.07599)
    powersgd:RANK  M ~ P Q', one warm-started power iteration  Vogels 2019 (1905.13727)

Lossy codecs are made convergent by what wraps them: error feedback for gradients (`averaging.Feedback`),
public copies for weights (`gossip.PublicCopy`; CHOCO, Koloskova et al. 2019, 1902.00340).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dasr.errors import UserError, nearest

Encoded = tuple[Tensor, ...]


class Codec:
    """fp32: the vector as it is."""

    exact = True  # decode(encode(v)) is v
    feedback = False  # the part that was not sent is kept and sent later

    def encode(self, vector: Tensor) -> Encoded:
        return (vector,)

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        """The vector that the payload stands for, with the length and dtype of `like`."""
        return payload[0]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Cast(Codec):
    """Rounded to a 16-bit type."""

    exact = False

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype

    def encode(self, vector: Tensor) -> Encoded:
        return (vector.to(self.dtype),)

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        return payload[0].to(like.dtype)


class Sign(Codec):
    """The sign of each element, eight to a byte, times the mean magnitude."""

    exact = False
    feedback = True

    def encode(self, vector: Tensor) -> Encoded:
        bits = torch.nn.functional.pad((vector >= 0).to(torch.uint8), (0, -len(vector) % 8)).view(-1, 8)
        weights = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=vector.device)
        return (bits * weights).sum(dim=1, dtype=torch.uint8), vector.abs().mean().view(1)

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        packed, scale = payload
        shifts = torch.arange(8, dtype=torch.uint8, device=packed.device)
        bits = (packed.view(-1, 1) >> shifts & 1).view(-1)[: like.numel()]
        return (bits.to(like.dtype) * 2 - 1) * scale.to(like.dtype)


class TopK(Codec):
    """The largest elements with their places."""

    exact = False
    feedback = True

    def __init__(self, ratio: float):
        self.ratio = ratio

    def encode(self, vector: Tensor) -> Encoded:
        kept = max(1, round(self.ratio * len(vector)))
        places = torch.topk(vector.abs(), kept, sorted=False).indices.sort().values
        return places.to(torch.int32), vector[places]

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        places, values = payload
        return torch.zeros_like(like).index_copy_(0, places.long(), values.to(like.dtype))


class PowerSGD(Codec):
    """The vector as a near-square matrix M (zero-padded), approximated by P Q' of low rank, P orthonormal."""

    exact = False
    feedback = True

    def __init__(self, rank: int):
        self.rank = rank
        self.q: Tensor | None = None

    def matrix(self, vector: Tensor) -> Tensor:
        rows = max(1, math.isqrt(len(vector)))
        return torch.nn.functional.pad(vector, (0, -len(vector) % rows)).view(rows, -1)

    def start(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """M and M Q, with Q from the last time or, at first, the same random one everywhere."""
        matrix = self.matrix(vector)
        rank = min(self.rank, *matrix.shape)
        if self.q is None:
            generator = torch.Generator().manual_seed(matrix.shape[1])
            q = torch.randn(matrix.shape[1], rank, generator=generator, dtype=torch.float64)
            self.q = q.to(vector.device, vector.dtype)
        return matrix, matrix @ self.q

    def finish(self, matrix: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Orthonormal P and Q = M'P (before it is averaged)."""
        p = torch.linalg.qr(p).Q
        return p, matrix.t() @ p

    def encode(self, vector: Tensor) -> Encoded:
        matrix, p = self.start(vector)
        p, self.q = self.finish(matrix, p)
        return p.contiguous(), self.q.contiguous()

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        p, q = payload
        return (p @ q.t()).reshape(-1)[: like.numel()]

    def state_dict(self) -> dict[str, Any]:
        return {"q": self.q}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.q = state["q"]


CODECS: dict[str, Callable[[float], Codec]] = {
    "fp32": lambda _: Codec(),
    "bf16": lambda _: Cast(torch.bfloat16),
    "fp16": lambda _: Cast(torch.float16),
    "sign": lambda _: Sign(),
    "topk": lambda ratio: TopK(ratio),
    "powersgd": lambda rank: PowerSGD(int(rank)),
}
DEFAULTS = {"topk": 0.01, "powersgd": 4.0}


def codec(spec: str) -> Codec:
    """The codec that a specification such as `fp32`, `topk:0.01` or `powersgd:4` names. Raises UserError."""
    name, colon, text = spec.partition(":")
    if name not in CODECS:
        raise UserError(f"no compression '{name}'{nearest(name, CODECS)} (known: {', '.join(CODECS)})")
    try:
        value = float(text) if colon else DEFAULTS.get(name, 0.0)
    except ValueError:
        raise UserError(f"compression '{spec}': '{text}' is not a number") from None
    if colon and name not in DEFAULTS:
        raise UserError(f"compression '{name}' takes no number, but was given '{spec}'")
    if name == "topk" and not 0 < value <= 1:
        raise UserError(f"compression '{spec}': the ratio must be above 0 and at most 1")
    if name == "powersgd" and not (value >= 1 and value.is_integer()):
        raise UserError(f"compression '{spec}': the rank must be a whole number from 1")
    return CODECS[name](value)
