"""Codecs: a vector as fewer bytes. What is sent is the payload, so the world counts its bytes.

    Codec       the vector itself (whatever its dtype)
    Cast        rounded to 16 bits
    Sign        1 bit an element; a matrix has one magnitude, mean |m|       Zheng et al. 2019 (1905.10936)
    OneBit      1 bit an element; a row has two values                       Seide et al. 2014 (Interspeech)
    TopK        the largest elements of the vector                           Stich et al. 2018 (1809.07599)
    PowerSGD    M ~ P Q' for each matrix, one warm-started power iteration   Vogels et al. 2019 (1905.13727)

Which matrices a vector holds is told to those that ask (`matrices.matrices_in`). Lossy codecs are made
convergent by what wraps them: error feedback for gradients (`means.Feedback`), public copies for weights
(`gossip.PublicCopy`; CHOCO, Koloskova et al. 2019, 1902.00340). `compression.py` names them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dasr.strategies.matrices import Matrix
from dasr.strategies.parts.compression import Compression

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
    """Signs, eight to a byte, and for each matrix mean |m|: the sign times that.

    Scaled signs with error feedback: Karimireddy et al. 2019 (1901.09847); a scale for each block of the
    parameters: Zheng et al. 2019, equation 6."""

    exact = False
    feedback = True

    def __init__(self, matrices: Sequence[Matrix]):
        self.matrices = matrices

    def encode(self, vector: Tensor) -> Encoded:
        scales = [vector[matrix.where].abs().mean() for matrix in self.matrices]
        return _packed(vector >= 0), torch.stack(scales)

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        packed, scales = payload
        signs = _signs(packed, like)
        for matrix, scale in zip(self.matrices, scales.to(like.dtype), strict=True):
            signs[matrix.where].mul_(scale)
        return signs


class OneBit(Codec):
    """Signs, eight to a byte, and for each row the means of its elements from 0 and of those below 0.

    A row holds the weights of one output unit: a *column* of the paper, whose layers are W'x. Threshold 0 and
    these two values: section 3 there."""

    exact = False
    feedback = True

    def __init__(self, matrices: Sequence[Matrix]):
        self.matrices = matrices

    def encode(self, vector: Tensor) -> Encoded:
        wide = torch.promote_types(vector.dtype, torch.float32)
        values = []
        for matrix in self.matrices:
            rows = matrix.of(vector).to(wide)
            above = rows >= 0
            count = above.sum(dim=1)
            high = (rows * above).sum(dim=1) / count.clamp_min(1)
            low = (rows * ~above).sum(dim=1) / (matrix.columns - count).clamp_min(1)
            values.append(torch.stack([high, low], dim=1))
        return _packed(vector >= 0), torch.cat(values).to(vector.dtype)

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        packed, values = payload
        signs, begin = _signs(packed, like), 0
        for matrix in self.matrices:
            pairs = values[begin : begin + matrix.rows].to(like.dtype)
            high, low = pairs[:, :1], pairs[:, 1:]
            matrix.of(signs).mul_((high - low) / 2).add_((high + low) / 2)
            begin += matrix.rows
        return signs


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
    """Each matrix as P Q' of low rank, P orthonormal: algorithm 1 of the paper. It is linear, so a mean over
    learners takes two all-reduces, start() and finish().

    What would not become `saving` times smaller travels as it is, as in PyTorch's hook."""

    exact = False
    feedback = True

    def __init__(self, matrices: Sequence[Matrix], rank: int, saving: float):
        self.rank, self.saving = rank, saving
        self.low_rank = [matrix for matrix in matrices if self._saves(matrix)]
        self.whole = [matrix for matrix in matrices if not self._saves(matrix)]
        self.q: list[Tensor] = []  # [columns, rank] of each low-rank matrix, from the last time

    def _saves(self, matrix: Matrix) -> bool:
        numbers = (matrix.rows + matrix.columns) * self._rank_of(matrix)
        return numbers * self.saving < matrix.rows * matrix.columns

    def _rank_of(self, matrix: Matrix) -> int:
        return min(self.rank, matrix.rows, matrix.columns)

    def start(self, vector: Tensor) -> Tensor:
        """M Q of each low-rank matrix, and the others as they are: flat, to be averaged."""
        if not self.q:
            self.q = [self._random(number, vector) for number in range(len(self.low_rank))]
        products = [matrix.of(vector) @ q for matrix, q in zip(self.low_rank, self.q, strict=True)]
        return _flat([*products, *(vector[matrix.where] for matrix in self.whole)])

    def finish(self, vector: Tensor, first: Tensor) -> Tensor:
        """Make the P in `first` (the mean of start()) orthonormal. Q = M'P, flat, to be averaged."""
        queries = []
        for matrix, p in zip(self.low_rank, self._bases(first), strict=True):
            wide = torch.promote_types(p.dtype, torch.float32)
            p.copy_(torch.linalg.qr(p.to(wide)).Q)
            queries.append(matrix.of(vector).t() @ p)
        return _flat(queries)

    def keep(self, flat: Tensor) -> None:
        """Remember the (mean) Q for the next time."""
        self.q, begin = [], 0
        for matrix in self.low_rank:
            end = begin + matrix.columns * self._rank_of(matrix)
            self.q.append(flat[begin:end].view(matrix.columns, -1))
            begin = end

    def encode(self, vector: Tensor) -> Encoded:
        first = self.start(vector)
        if not self.low_rank:
            return (first,)
        second = self.finish(vector, first)
        self.keep(second)
        return first, second

    def decode(self, payload: Encoded, like: Tensor) -> Tensor:
        first, result = payload[0], torch.empty_like(like)
        begin = 0
        for matrix, p in zip(self.low_rank, self._bases(first), strict=True):
            end = begin + matrix.columns * p.shape[1]
            torch.matmul(p, payload[1][begin:end].view(matrix.columns, -1).t(), out=matrix.of(result))
            begin = end
        begin = sum(matrix.rows * self._rank_of(matrix) for matrix in self.low_rank)
        for matrix in self.whole:
            end = begin + matrix.rows * matrix.columns
            result[matrix.where].copy_(first[begin:end])
            begin = end
        return result

    def _bases(self, first: Tensor) -> list[Tensor]:
        """[rows, rank] of each low-rank matrix, views."""
        bases, begin = [], 0
        for matrix in self.low_rank:
            end = begin + matrix.rows * self._rank_of(matrix)
            bases.append(first[begin:end].view(matrix.rows, -1))
            begin = end
        return bases

    def _random(self, number: int, vector: Tensor) -> Tensor:
        """The first Q: the same on all learners."""
        matrix, generator = self.low_rank[number], torch.Generator().manual_seed(number)
        drawn = torch.randn(matrix.columns, self._rank_of(matrix), generator=generator, dtype=torch.float64)
        return drawn.to(vector.device, vector.dtype)

    def state_dict(self) -> dict[str, Any]:
        return {"q": list(self.q)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.q = list(state["q"])


def _flat(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def _packed(bits: Tensor) -> Tensor:
    """bool [n] as uint8 [n / 8], rounded up."""
    eights = torch.nn.functional.pad(bits.to(torch.uint8), (0, -len(bits) % 8)).view(-1, 8)
    places = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8, device=bits.device)
    return (eights * places).sum(dim=1, dtype=torch.uint8)


def _signs(packed: Tensor, like: Tensor) -> Tensor:
    """1 and -1, as many as `like` has elements and of its dtype: by a table of the 256 bytes."""
    table = _bits(packed).to(like.dtype) * 2 - 1
    return table.index_select(0, packed.int()).view(-1)[: like.numel()]


def _bits(like: Tensor) -> Tensor:
    """[256, 8]: the bits of each byte, the lowest first."""
    numbers, places = torch.arange(256, device=like.device), torch.arange(8, device=like.device)
    return numbers.unsqueeze(1) >> places & 1


_MAKERS: dict[str, Callable[[Compression, Sequence[Matrix]], Codec]] = {
    "fp32": lambda said, matrices: Codec(),
    "bf16": lambda said, matrices: Cast(torch.bfloat16),
    "fp16": lambda said, matrices: Cast(torch.float16),
    "sign": lambda said, matrices: Sign(matrices),
    "1bit": lambda said, matrices: OneBit(matrices),
    "topk": lambda said, matrices: TopK(said.number),
    "powersgd": lambda said, matrices: PowerSGD(matrices, int(said.number), said.saving),
}


def codec_for(said: Compression, matrices: Sequence[Matrix]) -> Codec:
    """The codec that was asked for, for vectors that hold those matrices."""
    return _MAKERS[said.name](said, matrices)
