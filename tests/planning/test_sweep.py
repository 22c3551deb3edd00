"""Many simulations at once."""

from __future__ import annotations

import dataclasses

import pytest

from dasr.errors import UserError
from dasr.planning.sweep import Sweep
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Death

POINTS = [("sd", 2, 0), ("ad", 4, 1), ("single", 1, 0)]


def sweep(**more: str) -> Sweep:
    return Sweep(presets.load("ethernet-25g"), {}, steps=8, local_batch=4, parameters=1000, **more)  # type: ignore[arg-type]


@pytest.mark.slow  # two processes import torch
def test_several_processes_give_the_results_of_one_in_the_order_asked_for() -> None:
    alone = list(sweep(task="quadratic").run(POINTS))
    assert [(each.strategy, each.learners, each.seed) for each in alone] == POINTS
    assert list(sweep(task="quadratic").run(POINTS, jobs=2)) == alone
    assert all(each.curve and each.weights_sha256 for each in alone)


def test_timing_alone_trains_nothing() -> None:
    (only,) = sweep().run(POINTS[:1])
    assert only.curve == [] and only.seconds > 0


def test_a_simulation_that_cannot_go_on_names_strategy_and_learners() -> None:
    cluster = dataclasses.replace(presets.load("ethernet-25g"), deaths=(Death(1, 0.0),))
    broken = Sweep(cluster, {}, steps=8, local_batch=4, parameters=1000)
    with pytest.raises(UserError, match=r"sd with 2 learners: .*learner 1 died"):
        list(broken.run([("sd", 2, 0)]))
