"""Learning rates over the samples seen."""

import math
from typing import Any

import pytest
import torch

from dasr.config import TrainingConfig
from dasr.errors import UserError
from dasr.learner import schedule


def made(batch: int, **training: Any) -> schedule.Schedule:
    options: dict[str, Any] = {"learning_rate": 0.1, "reference_batch": 100, "epochs": 20.0}
    return schedule.make(TrainingConfig(**options, **training), samples_per_epoch=1000, batch=batch)


def test_the_papers_schedule_warms_up_then_stays_then_halves_every_two_epochs() -> None:
    rate = made(1000, warmup_epochs=10.0, anneal_after_epochs=10.0)
    assert rate(0) == pytest.approx(0.1)  # of the baseline
    assert rate(5_000) == pytest.approx(0.55)
    assert rate(10_000) == pytest.approx(1.0)  # scaled with the batch
    assert rate(11_000) == pytest.approx(1.0 / math.sqrt(2))
    assert rate(16_000) == pytest.approx(0.125)
    assert made(100, schedule="constant", warmup_epochs=1.0)(99_000) == 0.1


def test_the_inverse_square_root_meets_its_peak_at_the_end_of_the_warm_up() -> None:
    rate = made(100, schedule="inverse-sqrt", warmup_epochs=2.0)
    assert rate(1_000) == pytest.approx((0.01 + 0.1) / 2)
    assert rate(2_000) == pytest.approx(0.1)
    assert rate(8_000) == pytest.approx(0.05)
    with pytest.raises(UserError, match="inverse-sqrt needs training"):
        made(100, schedule="inverse-sqrt")


def test_the_cosine_is_that_of_torch() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([weight], lr=0.1), T_max=20)
    rate = made(100, schedule="cosine")
    for epoch in range(21):
        assert rate(1000 * epoch) == pytest.approx(oracle.get_last_lr()[0], abs=1e-12)
        oracle.optimizer.step()
        oracle.step()
    assert made(100, schedule="cosine", warmup_epochs=4.0)(12_000) == pytest.approx(0.05)


@pytest.mark.parametrize(("rule", "rate"), [("none", 0.1), ("sqrt", 0.2), ("linear", 0.4)])
def test_the_rate_follows_the_batch_by_its_rule(rule: str, rate: float) -> None:
    assert made(400, schedule="constant", rate_rule=rule)(0) == pytest.approx(rate)
