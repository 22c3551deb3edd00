"""Collectives of simulated learners: what they cost, and errors instead of wrong sums."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link
from dasr.worlds.simulated.scheduler import SimulationError
from dasr.worlds.simulated.simulation import Simulation

GBIT = Link(gbit_s=1.0, latency_us=100)


FLAT = Cluster(
    name="flat", between=GBIT, inside=Link(gbit_s=100, latency_us=5), compute=Compute(fixed_s=0.01)
)


def seconds(cluster: Cluster, learners: int, activity: Any) -> float:
    simulation = Simulation(cluster, learners)
    simulation.run(activity)
    return simulation.now


@pytest.mark.parametrize("learners", [2, 3, 8, 17])
def test_an_all_reduce_costs_what_the_ring_algorithm_costs(learners: int) -> None:
    numel = 250_000

    async def activity(world: World) -> None:
        await world.all_reduce(torch.zeros(numel))

    formula = 2 * (learners - 1) / learners * numel * 4 / 125e6 + 2 * (learners - 1) * 100e-6
    assert seconds(FLAT, learners, activity) == pytest.approx(formula, rel=1e-12)


def test_nodes_first_costs_a_ring_in_each_node_and_one_between_them() -> None:
    cluster = dataclasses.replace(FLAT, learners_per_node=4, all_reduce="hierarchical")

    async def activity(world: World) -> None:
        await world.all_reduce(torch.zeros(1_000_000))

    inside = 2 * 3 / 4 * 4e6 / 12.5e9 + 2 * 3 * 5e-6
    between = 2 * 1 / 2 * 4e6 / 125e6 + 2 * 1 * 100e-6
    assert seconds(cluster, 8, activity) == pytest.approx(inside + between, rel=1e-12)


def test_collectives_in_different_orders_are_an_error_and_not_a_wrong_sum() -> None:
    async def activity(world: World) -> None:
        await world.all_reduce(torch.zeros(3 if world.rank else 4))

    with pytest.raises(SimulationError, match="different orders"):
        Simulation(FLAT, 2).run(activity)
