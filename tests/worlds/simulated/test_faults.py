"""The simulated world when something is wrong: losses and mistakes are reported, and nothing hangs."""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import pytest
import torch

from dasr.worlds.interface import PeerLost, World
from dasr.worlds.simulated.clusters import Cluster, Compute, Death, Link
from dasr.worlds.simulated.scheduler import Deadlock, SimulationError
from dasr.worlds.simulated.simulation import LearnerLost, Simulation

FLAT = Cluster(
    name="flat",
    between=Link(gbit_s=1.0, latency_us=100),
    inside=Link(gbit_s=100, latency_us=5),
    compute=Compute(fixed_s=0.01),
)


def test_who_needs_a_dead_learner_is_told_its_name_in_bounded_time() -> None:
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


def test_a_deadlock_is_reported_with_who_waits_for_whom() -> None:
    async def activity(world: World) -> None:
        await world.receive((world.rank + 1) % 3, tag=4)

    with pytest.raises(Deadlock) as caught:
        Simulation(FLAT, 3).run(activity)
    for rank in range(3):
        expected = f"learner {rank} (main) waits for a message (tag 4) from learner {(rank + 1) % 3}"
        assert expected in str(caught.value)


def test_collectives_in_different_orders_are_an_error_and_not_a_wrong_sum() -> None:
    async def activity(world: World) -> None:
        await world.all_reduce(torch.zeros(3 if world.rank else 4))

    with pytest.raises(SimulationError, match="different orders"):
        Simulation(FLAT, 2).run(activity)


def test_endless_exchanges_at_no_cost_are_an_error_and_not_a_hang() -> None:
    async def activity(world: World) -> None:
        while True:
            await world.exchange((torch.zeros(1),), 1 - world.rank)

    with pytest.raises(SimulationError, match="stands still"):
        Simulation(Cluster(), 2).run(activity)


def test_memory_is_given_back_during_a_run_with_values() -> None:
    """Cycles of futures and coroutines may hold whole models: collecting them rarely cost 14 GB once."""

    async def activity(world: World) -> tuple[int, int, int]:
        return gc.get_threshold()

    usual = gc.get_threshold()
    assert Simulation(FLAT, 2).run(activity) == [usual] * 2
    assert Simulation(FLAT, 2, timing_only=True).run(activity)[0] != usual
    assert gc.get_threshold() == usual
