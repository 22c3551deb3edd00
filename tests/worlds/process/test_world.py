"""Real processes: the same texts as in the simulation, equal weights, survivors of a SIGKILL."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation
from tests.support import activities
from tests.worlds.simulated.test_world import check_everything


def test_four_processes_communicate_as_the_simulation_does() -> None:
    results = run_processes(4, activities.run_all)
    simulated = Simulation(Cluster(compute=Compute(fixed_s=0.1)), 4).run(activities.everything)
    for rank, (everything, together, weights, waits) in enumerate(results):
        check_everything(rank, 4, everything)
        assert (everything["bytes"], everything["messages"]) == (
            simulated[rank]["bytes"],
            simulated[rank]["messages"],
        )
        assert together == [2.5, 2.5, 2.5, 2.5, 190.0]
        assert set(weights) == set(activities.DETERMINISTIC)
        assert all(waited <= passed for waited, passed in waits.values()), waits
        assert rank or all(waited > 0 for waited, _ in waits.values()), waits
    for strategy in activities.DETERMINISTIC:
        for rank, weights in enumerate(simulate(strategy)):
            assert results[rank][2][strategy] == pytest.approx(weights, abs=1e-12)


def simulate(strategy: str) -> list[Any]:
    return Simulation(Cluster(compute=Compute(fixed_s=1.0)), 4).run(
        partial(activities.trained, strategy=strategy)
    )


def test_survivors_of_a_killed_learner_notice_agree_and_go_on() -> None:
    results = run_processes(4, activities.run_ring_of_survivors, may_die=(2,))
    assert [results[rank] for rank in (0, 1, 3)] == [([2], (0, 1, 3))] * 3


def test_a_collective_with_a_killed_learner_names_it() -> None:
    results = run_processes(4, activities.run_all_reduce_without_one, may_die=(2,))
    assert [results[rank] for rank in (0, 1, 3)] == ["learner 2 is lost at turn 5"] * 3
