"""What a network must offer, so that every strategy, task and decoder can work with it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from dasr.plugins import Positive

__all__ = ["Network", "Positive"]


class Network(nn.Module):
    """From the front end's outputs (its *inputs*) to logits. A subclass is a model that users choose by name.

    The constructor takes (inputs, outputs), the widths, then options as keyword arguments with annotations
    and defaults. Strategies exchange parameters only, so nothing else may change in training: no running
    statistics (BatchNorm)."""

    name: ClassVar[str]  # what users type as model.kind
    subsampling: int = 1  # inputs an output
    # Inputs on either side of a chunk that its outputs depend on; 0: the chunk alone; None: the utterance
    # as a whole, so that it cannot be trained on chunks.
    context: int | None = None
    windowed: bool = False  # it learned from short chunks: utterances are scored in windows of that length
    fast_step: bool = False  # dasr.models.fast_blstm has its step on GPUs, written out

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [B, T, inputs] and how many of each count, int64 [B], to logits [B, T', outputs] and theirs,
        T' = ceil(T / subsampling).

        What lies beyond a length must not change what lies within it: see within()."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def gradient_groups(self) -> Sequence[Sequence[nn.Parameter]]:
        """All parameters, in the order of parameters(), cut into groups whose gradients are announced
        together. By default each module of this one is a group, and each member of its lists of modules."""
        named = itertools.groupby(self.named_parameters(), lambda pair: _group_of(pair[0]))
        return [[parameter for _, parameter in group] for _, group in named]


def _group_of(name: str) -> str:
    """`blocks.3` of blocks.3.norm.weight, `output` of output.weight."""
    first, _, rest = name.partition(".")
    second = rest.partition(".")[0]
    return f"{first}.{second}" if second.isdigit() else first


def within(x: Tensor, lengths: Tensor) -> Tensor:
    """x [B, T, width], zero beyond each length: as if an utterance stood alone."""
    place = torch.arange(x.shape[1], device=x.device)
    return x.masked_fill((place >= lengths.unsqueeze(1)).unsqueeze(2), 0.0)


def shorter(lengths: Tensor, factor: int) -> Tensor:
    """How many outputs of one for `factor` inputs each length gives: ceil(length / factor)."""
    return torch.div(lengths + factor - 1, factor, rounding_mode="floor")
