"""The paper's network: bidirectional LSTM layers, a linear bottleneck, one output a tied state."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dasr.models.network import Network, Positive
from dasr.plugins import AtLeast


class BLSTM(Network):
    """Logits of the tied states. The softmax is left to the loss, which may fuse it."""

    name = "blstm"
    context = 0
    windowed = True
    fast_step = True

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        layers: Positive = 2,
        cells: Positive = 128,
        bottleneck: Positive = 128,
        dropout: Annotated[float, AtLeast(0)] = 0.0,
    ):
        """`cells`: of a direction; `dropout`: between LSTM layers and before the bottleneck."""
        super().__init__()
        self.lstm = nn.LSTM(inputs, cells, layers, bidirectional=True, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.bottleneck = nn.Linear(2 * cells, bottleneck)
        self.output = nn.Linear(bottleneck, outputs)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = frames.transpose(0, 1)
        if int(lengths.min()) == len(x):
            hidden, _ = self.lstm(x)
        else:  # the backward direction begins at the end of each utterance
            packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
            hidden, _ = pad_packed_sequence(self.lstm(packed)[0], total_length=len(x))
        logits: Tensor = self.output(self.bottleneck(self.dropout(hidden)))
        return logits.transpose(0, 1), lengths

    def gradient_groups(self) -> list[list[nn.Parameter]]:
        """Each LSTM layer; the layers behind the LSTM."""
        lstm = list(self.lstm.parameters())
        per_layer = len(lstm) // self.lstm.num_layers
        layers = [lstm[i : i + per_layer] for i in range(0, len(lstm), per_layer)]
        return [*layers, list(self.parameters())[len(lstm) :]]

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """The same weights for the same seed on every learner; forget gates open at first."""
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            bound = (self.lstm.hidden_size if name.startswith("lstm") else parameter.shape[-1]) ** -0.5
            if parameter.dim() == 1:
                parameter.zero_()
            else:
                drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                parameter.copy_(drawn)
            if "bias_ih" in name:
                parameter[self.lstm.hidden_size : 2 * self.lstm.hidden_size] = 1.0
