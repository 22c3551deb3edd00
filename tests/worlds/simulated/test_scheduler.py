"""Runs that cannot go on end with an error that says why."""

from __future__ import annotations

import pytest
import torch

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link
from dasr.worlds.simulated.scheduler import Deadlock, SimulationError
from dasr.worlds.simulated.simulation import Simulation

FLAT = Cluster(
    name="flat",
    between=Link(gbit_s=1.0, latency_us=100),
    inside=Link(gbit_s=100, latency_us=5),
    compute=Compute(fixed_s=0.01),
)


def test_a_deadlock_is_reported_with_who_waits_for_whom() -> None:
    async def activity(world: World) -> None:
        await world.receive((world.rank + 1) % 3, tag=4)

    with pytest.raises(Deadlock) as caught:
        Simulation(FLAT, 3).run(activity)
    for rank in range(3):
        expected = f"learner {rank} (main) waits for a message (tag 4) from learner {(rank + 1) % 3}"
        assert expected in str(caught.value)


def test_endless_exchanges_at_no_cost_are_an_error_and_not_a_hang() -> None:
    async def activity(world: World) -> None:
        while True:
            await world.exchange((torch.zeros(1),), 1 - world.rank)

    with pytest.raises(SimulationError, match="stands still"):
        Simulation(Cluster(), 2).run(activity)
