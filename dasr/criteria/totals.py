"""What a batch of utterances costs: sums over the batch, never means.

The task divides a sum by a number that is the same for all learners and all steps: what a learner's batch
holds on average. So the mean of the learners' gradients is the gradient of their batches taken together,
however unequal the utterances are, and every utterance weighs the same in an epoch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BLANK = 0  # the output of CTC that is no unit


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over outputs. logits [B, T', outputs]; labels [B, T'], -1 where an output does not count."""
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten().long(), ignore_index=-1, reduction="sum"
    )


def ctc(logits: Tensor, lengths: Tensor, units: Tensor, unit_counts: Tensor) -> Tensor:
    """Sum over utterances of -log p(units): Graves et al. 2006. Output 0 is the blank.

    logits [B, T', outputs]; lengths, unit_counts: int64 [B], on the CPU; units [B, S], from 1. A row without
    an output (length 0) is an empty place of the batch and costs nothing."""
    rows = torch.nonzero(lengths > 0)[:, 0]
    if not len(rows):
        return logits.sum() * 0.0
    if len(rows) < len(lengths):
        logits, units = (x.index_select(0, rows.to(x.device)) for x in (logits, units))
    scores = logits.log_softmax(dim=-1).transpose(0, 1)
    return functional.ctc_loss(
        scores, units.long(), lengths[rows], unit_counts[rows], blank=BLANK, reduction="sum"
    )


def outputs_needed(units: Tensor) -> int:
    """The fewest outputs in which CTC can say these units, [S]: a blank stands between two equal ones."""
    return len(units) + int((units[1:] == units[:-1]).sum())


def greedy(scores: Tensor) -> list[int]:
    """The units of the most probable outputs, repeats merged and blanks left out. scores [T, outputs]."""
    merged = torch.unique_consecutive(scores.argmax(dim=1))
    best: list[int] = merged[merged != BLANK].tolist()
    return best
