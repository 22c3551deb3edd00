"""A feed-forward network on spliced frames (`model.splice`): Hinton et al. 2012."""

from __future__ import annotations

import itertools
from typing import Annotated

from torch import Tensor, nn

from dasr.models.network import Network, Positive
from dasr.plugins import AtLeast


class DNN(Network):
    """Linear layers with ReLU; an output depends on its own input only."""

    name = "dnn"
    context = 0

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        layers: Positive = 4,
        width: Positive = 512,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ):
        """`layers`: hidden ones, each `width` wide."""
        super().__init__()
        widths = [inputs, *[width] * layers]
        hidden = [
            nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
            for before, after in itertools.pairwise(widths)
        ]
        self.hidden = nn.Sequential(*hidden)
        self.output = nn.Linear(width, outputs)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.output(self.hidden(frames)), lengths
