"""Conformer: Gulati et al. 2020 (arXiv 2005.08100).

    x = x + ff(x) / 2;  x = x + attention(x);  x = x + convolution(x);  x = norm(x + ff(x) / 2)

Two things differ, so that an utterance's outputs do not depend on what it is batched with, and learners need
not share statistics: the convolution's normalisation is over channels (LayerNorm, not BatchNorm), positions
are rotations of queries and keys (RoFormer, arXiv 2104.09864).
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from dasr.errors import UserError
from dasr.models.network import Network, Positive, shorter, within
from dasr.plugins import AtLeast


class Conformer(Network):
    """Convolutions that subsample, then Conformer blocks. It sees whole utterances."""

    name = "conformer"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        layers: Positive = 6,
        width: Positive = 144,
        heads: Positive = 4,
        kernel: Positive = 15,
        subsampling: Positive = 4,
        dropout: Annotated[float, AtLeast(0)] = 0.1,
    ):
        """`subsampling`: 1, 2, 4, 8: inputs an output; `kernel`: of the depthwise convolution, odd."""
        super().__init__()
        if width % (2 * heads):
            raise UserError(f"model 'conformer': width ({width}) must be a multiple of 2 x heads ({heads})")
        if kernel % 2 == 0 or subsampling not in (1, 2, 4, 8):
            raise UserError("model 'conformer': kernel must be odd, and subsampling 1, 2, 4 or 8")
        self.subsampling = subsampling
        halvings = subsampling.bit_length() - 1
        self.halve = nn.ModuleList(
            nn.Conv1d(width if n else inputs, width, 3, 2, padding=1) for n in range(halvings)
        )
        self.first = nn.Linear(width if halvings else inputs, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, kernel, dropout) for _ in range(layers))
        self.output = nn.Linear(width, outputs)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = frames
        for halve in self.halve:
            x = functional.silu(halve(within(x, lengths).transpose(1, 2))).transpose(1, 2)
            lengths = shorter(lengths, 2)
        x = self.dropout(self.first(x))
        place = torch.arange(x.shape[1], device=x.device)
        seen = (place < lengths.clamp_min(1).unsqueeze(1))[:, None, None]  # [B, 1, 1, T]
        for block in self.blocks:
            x = block(x, lengths, seen)
        return self.output(x), lengths


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, kernel: int, dropout: float):
        super().__init__()
        self.before = _feed_forward(width, dropout)
        self.attention = _Attention(width, heads, dropout)
        self.convolution = _Convolution(width, kernel, dropout)
        self.after = _feed_forward(width, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, lengths: Tensor, seen: Tensor) -> Tensor:
        x = x + 0.5 * self.before(x)
        x = x + self.attention(x, seen)
        x = x + self.convolution(x, lengths)
        y: Tensor = self.norm(x + 0.5 * self.after(x))
        return y


def _feed_forward(width: int, dropout: float) -> nn.Module:
    wide = 4 * width
    layers = [nn.Linear(width, wide), nn.SiLU(), nn.Dropout(dropout), nn.Linear(wide, width)]
    return nn.Sequential(nn.LayerNorm(width), *layers, nn.Dropout(dropout))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.probability = heads, dropout
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        b, t, width = x.shape
        parts = self.project(self.norm(x)).view(b, t, 3, self.heads, width // self.heads)
        q, k, v = (part.transpose(1, 2) for part in parts.unbind(2))  # [B, heads, T, width / heads]
        p = self.probability if self.training else 0.0
        y = functional.scaled_dot_product_attention(rotated(q), rotated(k), v, seen, dropout_p=p)
        z: Tensor = self.dropout(self.output(y.transpose(1, 2).reshape(b, t, width)))
        return z


def rotated(x: Tensor) -> Tensor:
    """Pairs of channels turned by an angle that grows with the position; x [..., T, an even width]."""
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[-2], device=x.device).unsqueeze(1) * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class _Convolution(nn.Module):
    def __init__(self, width: int, kernel: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.inner = nn.LayerNorm(width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        y = within(functional.glu(self.gate(self.norm(x))), lengths)
        y = self.inner(self.depthwise(y.transpose(1, 2)).transpose(1, 2))
        z: Tensor = self.dropout(self.output(functional.silu(y)))
        return z
