"""The paper's network: bidirectional LSTM layers, a linear bottleneck, one output a tied state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dasr.config import ModelConfig


class BLSTM(nn.Module):
    """Logits of the tied states. The softmax is left to the loss, which may fuse it."""

    def __init__(self, config: ModelConfig, inputs: int, outputs: int):
        """`inputs`: width of an input vector, `outputs`: number of tied states (pdfs)."""
        super().__init__()
        self.lstm = nn.LSTM(
            inputs,
            config.cells,
            config.layers,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.bottleneck = nn.Linear(2 * config.cells, config.bottleneck)
        self.output = nn.Linear(config.bottleneck, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x: [chunks, steps, inputs] -> logits [chunks, steps, outputs]."""
        hidden, _ = self.lstm(x.transpose(0, 1))
        logits: Tensor = self.output(self.bottleneck(self.dropout(hidden)))
        return logits.transpose(0, 1)

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
