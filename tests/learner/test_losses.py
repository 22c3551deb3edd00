"""Losses of a learner: their mean, and the first one that is not finite."""

from __future__ import annotations

import math

import pytest
import torch

from dasr.errors import UserError
from dasr.learner.losses import UNCHECKED, Losses


def test_the_mean_is_that_since_it_was_last_asked_for() -> None:
    losses = Losses(rank=0)
    assert math.isnan(losses.mean())
    for step, loss in enumerate([1.0, 2.0, 6.0]):
        losses.add(step, loss, "b")
    assert losses.mean() == 3.0
    losses.add(3, torch.tensor(5.0), "b")
    assert losses.mean() == 5.0


def test_a_resumed_mean_counts_what_a_checkpoint_holds() -> None:
    losses, resumed = Losses(0), Losses(0)
    losses.add(0, 4.0, "b")
    losses.look()
    resumed.load_state(losses.state())
    resumed.add(1, 8.0, "b")
    assert resumed.mean() == 6.0


def test_a_number_that_is_not_finite_is_refused_at_once_with_learner_step_and_batch() -> None:
    losses = Losses(rank=3)
    with pytest.raises(UserError, match=r"loss is nan at step 7 of learner 3 \(batch x to y\).*clip"):
        losses.add(7, math.nan, "x to y")


def test_a_tensor_is_looked_at_when_many_have_come_and_the_first_bad_one_is_named() -> None:
    losses = Losses(rank=0)
    for step in range(UNCHECKED - 1):
        losses.add(step, torch.tensor(math.inf if step == 5 else 1.0), f"batch {step}")
    with pytest.raises(UserError, match=r"inf at step 5 .*batch 5"):
        losses.add(UNCHECKED - 1, torch.tensor(math.nan), "the last")
