"""Learning rates over the samples seen."""

import math

import pytest

from dasr.errors import UserError
from dasr.learner import schedule


def test_the_papers_schedule_warms_up_then_stays_then_halves_every_two_epochs() -> None:
    rate = schedule.make("warmup-anneal", 0.1, 1000, warmup_epochs=10, anneal_after_epochs=10, scale=10)
    assert rate(0) == pytest.approx(0.1)  # of the baseline
    assert rate(5_000) == pytest.approx(0.55)
    assert rate(10_000) == pytest.approx(1.0)  # scaled with the batch
    assert rate(11_000) == pytest.approx(1.0 / math.sqrt(2))
    assert rate(16_000) == pytest.approx(0.125)
    assert schedule.make("constant", 0.1, 1000, 1, 1)(99_000) == 0.1
    with pytest.raises(UserError, match="did you mean 'constant'"):
        schedule.make("constnt", 0.1, 1000, 1, 1)
