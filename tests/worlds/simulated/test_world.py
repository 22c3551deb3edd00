"""What one learner of a simulation sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link
from dasr.worlds.simulated.simulation import Simulation
from tests.support import activities

GBIT = Link(gbit_s=1.0, latency_us=100)


FLAT = Cluster(
    name="flat", between=GBIT, inside=Link(gbit_s=100, latency_us=5), compute=Compute(fixed_s=0.01)
)


def test_a_gradient_arrives_slice_by_slice_and_its_reduction_overlaps_the_rest() -> None:
    gradient = torch.zeros(300_000)
    parts = [gradient[200_000:], gradient[100_000:200_000], gradient[:100_000]]
    compute = Compute(fixed_s=0.3, forward_fraction=1 / 3)

    async def activity(world: World) -> list[float]:
        times, started = [], []

        def gradient(give: Callable[[torch.Tensor], None]) -> None:
            for part in parts:
                give(part)

        def ready(part: torch.Tensor) -> None:
            times.append(world.now())
            started.append(world.all_reduce(part))

        await world.compute(gradient, ready)
        for reduction in started:
            await reduction
        return times

    simulation = Simulation(dataclasses.replace(FLAT, compute=compute), 2)
    times = simulation.run(activity)[0]
    assert times == pytest.approx([0.1 + 0.2 / 3, 0.1 + 0.4 / 3, 0.3])
    assert simulation.now == pytest.approx(0.3 + 0.4e6 / 125e6 + 2 * 100e-6)


def test_everything_that_worlds_do_gives_the_values_that_follow_from_the_ranks() -> None:
    for size in (2, 4, 6):
        for rank, result in enumerate(Simulation(FLAT, size).run(activities.everything)):
            check_everything(rank, size, result)


def test_waiting_for_a_late_learner_takes_as_long_as_it_is_late() -> None:
    waits, late, *_ = Simulation(FLAT, 4).run(activities.waits_for_the_last)
    assert [waited for waited, _ in waits.values()] == pytest.approx([0.1] * len(waits), rel=0.01)
    assert all(waited < 1e-3 for waited, _ in late.values())


def check_everything(rank: int, size: int, result: dict[str, Any]) -> None:
    assert result["mean"] == [(size - 1) / 2] * 5
    assert result["total"] == [size * (size - 1) / 2] * 3
    assert result["gathered"] == [[one, 0.5 * one] for one in range(size)]
    left = (rank - 1) % size
    assert result["received"] == [left, left + 100]
    partner = (rank + 1) % size if rank % 2 == 0 else left
    assert result["swapped"] == [partner, -partner]
    assert result["sources"] == (list(range(1, size)) if rank == 0 else [])
    assert len(set(result["counts"])) == 5 and set(result["counts"]) <= set(range(5 * size))
    assert result["roll"] == (False, (-(size - 1), 0), tuple(range(size)))
