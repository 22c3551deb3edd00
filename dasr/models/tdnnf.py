"""Factorised time-delay network: Povey et al., Semi-orthogonal low-rank matrix factorization for deep neural
networks, Interspeech 2018.

    layer   y = 0.66 x + dropout(norm(relu(A [z(t), z(t + s)])))    z(t) = M [x(t - s), x(t)]

M is made (nearly) semi-orthogonal up to a scale. Kaldi moves the weights there after every fourth step; here
the same step is part of the forward pass, since strategies change the weights between steps too.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional

from dasr.models.network import Network, Positive, within
from dasr.plugins import AtLeast

SKIP = 0.66  # of a layer's input in its output


class TDNNF(Network):
    """Layers of two factors, each of which sees two moments."""

    name = "tdnnf"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        layers: Positive = 6,
        width: Positive = 512,
        bottleneck: Positive = 128,
        stride: Positive = 1,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ):
        """`stride`: inputs from one moment of a factor to the other; `bottleneck`: width between factors."""
        super().__init__()
        self.context = layers * stride
        self.first = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(_Layer(width, bottleneck, stride, dropout) for _ in range(layers))
        self.output = nn.Linear(width, outputs)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu(self.first(frames))
        for layer in self.layers:
            x = layer(x, lengths)
        return self.output(x), lengths


class _Layer(nn.Module):
    def __init__(self, width: int, bottleneck: int, stride: int, dropout: float):
        super().__init__()
        self.stride = stride
        self.narrow = nn.Linear(2 * width, bottleneck, bias=False)
        self.wide = nn.Linear(2 * bottleneck, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        own = within(x, lengths)
        before = functional.pad(own, (0, 0, self.stride, 0))[:, : x.shape[1]]
        z = within(
            functional.linear(torch.cat([before, own], 2), semi_orthogonal(self.narrow.weight)), lengths
        )
        after = functional.pad(z, (0, 0, 0, self.stride))[:, self.stride :]
        y = self.wide(torch.cat([z, after], 2))
        output: Tensor = SKIP * x + self.dropout(self.norm(functional.relu(y)))
        return output


def semi_orthogonal(m: Tensor) -> Tensor:
    """A step towards M M^T = a^2 I, for the nearest a; m [rows, columns] (section 2.3 of the paper)."""
    p = m @ m.t()
    square = (p * p).sum() / p.trace()
    return m - 0.5 / square * (p @ m - square * m)
