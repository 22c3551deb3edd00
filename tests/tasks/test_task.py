"""The quadratic task against its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dasr.tasks.task import Quadratic


def nothing(part: Tensor) -> None:
    """Nobody waits for slices."""


def test_the_mean_gradient_of_learners_is_that_of_one_with_the_whole_batch() -> None:
    whole, weights = torch.zeros(8, dtype=torch.float64), Quadratic().initial()
    alone = Quadratic(batch=6)
    shares = [Quadratic(batch=6, rank=rank, size=3) for rank in range(3)]
    for step in range(2):
        alone.gradient(weights, whole, nothing)
        parts = [torch.zeros_like(whole) for _ in shares]
        for task, part in zip(shares, parts, strict=True):
            task.gradient(weights, part, nothing)
        torch.testing.assert_close(torch.stack(parts).mean(0), whole)
        targets = torch.stack([alone.target(6 * step + n) for n in range(6)])
        torch.testing.assert_close(whole, weights - targets.mean(0))


def test_its_loss_is_half_the_squared_distance_and_its_batch_has_a_name() -> None:
    task, weights = Quadratic(4, batch=2, rank=1, size=2), torch.zeros(4, dtype=torch.float64)
    found = task.gradient(weights, torch.zeros_like(weights), nothing)
    assert found == pytest.approx(float(task.target(1).square().sum() / 2))
    assert task.describe_batch() == "samples 1 to 1"


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ValueError, match="batch of 7 cannot be shared equally by 2"):
        Quadratic(batch=7, size=2)
