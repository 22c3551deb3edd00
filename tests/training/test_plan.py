"""The budget and the learning rate that follow from a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from dasr.config import TrainingConfig, complete
from dasr.errors import UserError
from dasr.training import plan


def training(**options: Any) -> TrainingConfig:
    return complete({"training": options}).training


@pytest.mark.parametrize(("epochs", "steps"), [(1, 10), (2.5, 25), (0.001, 1)])
def test_the_budget_is_the_epochs_in_steps_of_all_learners_together(epochs: float, steps: int) -> None:
    budget = plan.budget(training(epochs=epochs), num_chunks=320, batch=32, learners=4)
    assert (budget.steps, budget.batch, budget.learners, budget.local_batch) == (steps, 32, 4, 8)


def test_a_batch_that_learners_cannot_share_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be shared equally by 3 learners"):
        plan.budget(training(), num_chunks=320, batch=32, learners=3)


def test_a_larger_batch_is_warmed_up_to_a_rate_as_much_larger() -> None:
    options = {"warmup_epochs": 2, "learning_rate": 0.1, "reference_batch": 32}
    warmed = plan.rates(training(schedule="warmup-anneal", **options), num_chunks=100, batch=64)
    assert [warmed(samples) for samples in (0, 100, 200)] == pytest.approx([0.1, 0.15, 0.2])
    constant = plan.rates(training(schedule="constant", **options), num_chunks=100, batch=64)
    assert {constant(samples) for samples in (0, 5_000)} == {0.2}


def test_a_rate_with_which_adamw_cannot_learn_is_refused() -> None:
    adamw = {"optimizer": {"kind": "adamw"}, "reference_batch": 32, "schedule": "constant"}
    assert plan.rates(training(**adamw, learning_rate=0.05), 100, 32)(0) == 0.05
    for batch, rate in ((32, 2.0), (64, 0.03)):  # 0.03 in proportion to the batch is 0.06
        with pytest.raises(UserError, match="is too high for adamw"):
            plan.rates(training(**adamw, learning_rate=rate), 100, batch)
