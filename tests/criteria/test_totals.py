"""Sums over batches of utterances: gradients that do not depend on how a batch is shared, and CTC by hand."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from dasr.criteria import totals


def probability_by_enumeration(log_probabilities: Tensor, units: list[int]) -> float:
    """The sum over all paths that collapse to `units`; log_probabilities [T, outputs]."""
    steps, outputs = log_probabilities.shape
    total = 0.0
    for path in itertools.product(range(outputs), repeat=steps):
        merged = [unit for unit, _ in itertools.groupby(path)]
        if [unit for unit in merged if unit != totals.BLANK] == units:
            total += float(sum(log_probabilities[t, unit] for t, unit in enumerate(path)).exp())  # type: ignore[union-attr]
    return total


@pytest.mark.parametrize("units", [[1], [2, 1], [1, 1]])
def test_ctc_is_the_sum_over_all_paths(units: list[int]) -> None:
    logits = torch.randn(1, 4, 3, dtype=torch.float64)
    expected = probability_by_enumeration(logits[0].log_softmax(1), units)
    loss = totals.ctc(logits, torch.tensor([4]), torch.tensor([units]), torch.tensor([len(units)]))
    assert float((-loss).exp()) == pytest.approx(expected, rel=1e-12)


def test_an_empty_place_costs_nothing_and_a_batch_of_them_has_a_gradient_of_zero() -> None:
    logits = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    units, counts = torch.tensor([[1, 2], [-1, -1]]), torch.tensor([2, 0])
    both = totals.ctc(logits, torch.tensor([4, 0]), units, counts)
    alone = totals.ctc(logits[:1], torch.tensor([4]), units[:1], counts[:1])
    assert torch.equal(both, alone)
    totals.ctc(logits, torch.tensor([0, 0]), units, counts * 0).backward()
    assert logits.grad is not None and bool((logits.grad == 0).all())


@pytest.mark.parametrize(("units", "needed"), [([1, 2, 3], 3), ([1, 1], 3), ([2, 2, 2, 1], 6), ([], 0)])
def test_outputs_needed_are_the_shortest_for_which_the_loss_is_finite(units: list[int], needed: int) -> None:
    assert totals.outputs_needed(torch.tensor(units)) == needed
    for steps in range(max(1, needed - 1), needed + 2):
        logits = torch.zeros(1, steps, 4)
        loss = totals.ctc(logits, torch.tensor([steps]), torch.tensor([units]), torch.tensor([len(units)]))
        assert bool(loss.isfinite()) == (steps >= needed)
