"""Learners that die: who needs them is told, and the others go on."""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import pytest
import torch

from dasr.worlds.interface import PeerLost, World
from dasr.worlds.simulated.clusters import Cluster, Compute, Death, Link
from dasr.worlds.simulated.simulation import LearnerLost, Simulation

FLAT = Cluster(
    name="flat",
    between=Link(gbit_s=1.0, latency_us=100),
    inside=Link(gbit_s=100, latency_us=5),
    compute=Compute(fixed_s=0.01),
)


def test_waiting_for_a_dead_learner_ends_with_its_name_in_bounded_time() -> None:
    cluster = dataclasses.replace(FLAT, deaths=(Death(2, 0.025),), detect_s=3.0)

    async def activity(world: World) -> None:
        for _ in range(10):
            await world.compute(lambda ready: None)
            await world.all_reduce(torch.zeros(10))

    simulation = Simulation(cluster, 4)
    with pytest.raises(LearnerLost, match=r"learner 2 died at 0\.025 s"):
        simulation.run(activity)
    assert simulation.now <= 0.025 + 3.0 + 1e-9


def test_survivors_agree_on_who_is_left_and_go_on() -> None:
    cluster = dataclasses.replace(FLAT, deaths=(Death(2, 0.001),), detect_s=0.5)

    async def activity(world: World) -> tuple[Any, ...]:
        lost = []
        if world.rank == 2:
            await world.sleep(100)
        try:
            await world.receive(2)
        except PeerLost as error:
            lost.append((error.rank, world.now()))
        roll = await world.roll_call(True)
        total = await world.all_reduce(torch.ones(1), roll.members, "sum")
        return lost, roll.members, total.item()

    results = Simulation(cluster, 4).run(activity)
    assert results[2] is None
    assert [results[rank] for rank in (0, 1, 3)] == [([(2, pytest.approx(0.501))], (0, 1, 3), 3.0)] * 3


def test_memory_is_given_back_during_a_run_with_values() -> None:
    """Cycles of futures and coroutines may hold whole models: collecting them rarely cost 14 GB once."""

    async def activity(world: World) -> tuple[int, int, int]:
        return gc.get_threshold()

    usual = gc.get_threshold()
    assert Simulation(FLAT, 2).run(activity) == [usual] * 2
    assert Simulation(FLAT, 2, timing_only=True).run(activity)[0] != usual
    assert gc.get_threshold() == usual
