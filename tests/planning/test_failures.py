"""What failures cost, against runs that fail at random."""

from __future__ import annotations

import random

import pytest

from dasr.config import Run
from dasr.planning import answer, failures
from dasr.planning.target import Target
from dasr.planning.trials import Outcome
from dasr.worlds.simulated.clusters import Failures


def run(strategy: str, learners: int = 8) -> Run:
    return Run(strategy, (), learners, 8 * learners, 0)


def outcome(strategy: str, seconds: float) -> Outcome:
    """It reaches a loss of 1 after that time."""
    return Outcome(run(strategy, 64), "c", [0, 64], [2.0, 1.0], [0.0, seconds], 1.0, 0.0, 0.0)


def lived(learners: int, hours: float, every: float, restart: float, chance: random.Random) -> float:
    """The part of its time that a synchronous run makes progress, over many failures."""
    done, spent, since = 0.0, 0.0, 0.0  # seconds of work saved; of all; since the last checkpoint
    for _ in range(4000):
        until = chance.expovariate(learners / (hours * 3600))
        since += until
        spent += until + restart
        done += since - since % every
        since = 0.0
    return done / spent


@pytest.mark.parametrize(("hours", "every", "restart"), [(50.0, 60.0, 60.0), (20.0, 300.0, 30.0)])
def test_goodput_of_a_synchronous_run_is_that_of_runs_that_fail_at_random(
    hours: float, every: float, restart: float
) -> None:
    found = failures.goodput(run("sc-allreduce"), Failures(hours, restart), every)
    assert found == pytest.approx(lived(8, hours, every, restart, random.Random(1)), rel=3e-3)


def test_a_replaceable_strategy_loses_one_learner_at_a_time_whatever_their_number() -> None:
    said = Failures(1.0, 36.0)
    assert failures.goodput(run("ad", 8), said, 60) == failures.goodput(run("ad", 64), said, 60)
    assert failures.goodput(run("ad"), said, 60) == pytest.approx(1 / 1.01)
    assert failures.goodput(run("sd", 64), said, 0) < failures.goodput(run("sd", 8), said, 0)


def test_the_answer_changes_where_failures_are_frequent_enough() -> None:
    base = answer.candidates([outcome("sc-allreduce", 100.0), outcome("ad", 140.0)], Target(1.0))
    assert base[0].name == "sc-allreduce"
    found = failures.turning_point(base, Failures(1e5, 60.0), 60.0)
    assert found is not None and found[1] == "ad"
    hours = found[0]
    for factor, first in ((0.9, "ad"), (4.0, "sc-allreduce")):
        late = failures.with_failures(
            [outcome("sc-allreduce", 100.0), outcome("ad", 140.0)], Failures(factor * hours, 60.0), 60.0
        )
        assert answer.candidates(late, Target(1.0))[0].name == first
    told = failures.sentence(base, Failures(1e4, 60.0), 60.0)
    assert "sc-allreduce 100 %" in told and f"every {hours:.2g} h or more often, the answer is ad" in told


def test_nothing_is_said_where_a_cluster_has_no_failures() -> None:
    outcomes = [outcome("sd", 1.0)]
    assert failures.sentence(answer.candidates(outcomes, Target(1.0)), None, 60.0) == ""
    assert failures.with_failures(outcomes, None, 60.0) == outcomes
