"""The simulated world: costs equal their formulas, nothing is lost, faults are reported, same seed same
bits."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link, Pause, Slow
from dasr.worlds.simulated.simulation import Simulation
from tests.support import activities

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


def test_messages_to_one_learner_share_its_link_and_those_to_different_ones_do_not() -> None:
    async def to_one(world: World) -> None:
        if world.rank:
            await world.send((torch.zeros(250_000),), 0)
        else:
            for _ in range(world.size - 1):
                await world.receive_any()

    async def ring(world: World) -> None:
        await world.send((torch.zeros(250_000),), (world.rank + 1) % world.size)
        await world.receive((world.rank - 1) % world.size)

    one = 1e6 / 125e6
    assert seconds(FLAT, 5, to_one) == pytest.approx(4 * one + 100e-6, rel=1e-9)
    assert seconds(FLAT, 5, ring) == pytest.approx(one + 100e-6, rel=1e-9)


def test_learners_of_a_node_share_its_uplink_but_not_its_inner_network() -> None:
    cluster = dataclasses.replace(FLAT, learners_per_node=2)

    async def across(world: World) -> None:
        await world.exchange((torch.zeros(250_000),), (world.rank + 2) % 4)

    async def within(world: World) -> None:
        await world.exchange((torch.zeros(250_000),), world.rank ^ 1)

    assert seconds(cluster, 4, across) == pytest.approx(2 * 1e6 / 125e6 + 100e-6, rel=1e-9)
    assert seconds(cluster, 4, within) == pytest.approx(1e6 / 12.5e9 + 5e-6, rel=1e-9)


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


def test_slow_periods_and_pauses_stretch_a_gradient_as_far_as_they_reach() -> None:
    slow = (Slow(0, 10.0, from_s=0.5, until_s=1.5),)  # of 1 s of work: 0.5, then 0.1 in a second, then 0.4
    cluster = Cluster(compute=Compute(fixed_s=1.0), slow=slow, pauses=(Pause(1, 0.25, 2.0),))

    async def activity(world: World) -> float:
        await world.compute(lambda ready: None)
        return world.now()

    assert Simulation(cluster, 3).run(activity) == pytest.approx([1.9, 3.0, 1.0])


def test_everything_that_worlds_do_gives_the_values_that_follow_from_the_ranks() -> None:
    for size in (2, 4, 6):
        for rank, result in enumerate(Simulation(FLAT, size).run(activities.everything)):
            check_everything(rank, size, result)


def test_who_waits_for_a_late_learner_waits_as_long_as_it_is_late() -> None:
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


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(1, 12), st.randoms(use_true_random=False), st.floats(0, 3))
def test_no_message_is_lost_or_overtaken_for_any_speeds_and_delays(
    size: int, count: int, random: Any, jitter: float
) -> None:
    delays = {(rank, turn): random.random() * 0.01 for rank in range(size) for turn in range(count)}
    cluster = dataclasses.replace(
        FLAT, between=Link(gbit_s=random.choice([0.01, 1, math.inf]), latency_us=50)
    )

    async def activity(world: World) -> list[tuple[int, float]]:
        async def speak() -> None:
            for turn in range(count):
                await world.sleep(delays[world.rank, turn] * jitter)
                for peer in range(size):
                    if peer != world.rank:
                        await world.send((torch.full((1 + turn * 100,), float(turn)),), peer, tag=turn % 2)

        speaking = world.spawn(speak(), "speaking")
        heard = []
        for tag in (1, 0):
            for _ in range((size - 1) * len(range(tag, count, 2))):
                source, (numbers,) = await world.receive_any(tag)
                heard.append((source, numbers[0].item()))
        await speaking
        return heard

    for rank, heard in enumerate(Simulation(cluster, size).run(activity)):
        for source in set(range(size)) - {rank}:
            mine = [turn for one, turn in heard if one == source]
            assert mine == [*range(1, count, 2), *range(0, count, 2)]


TRACE = """
import dataclasses, hashlib, torch
from dasr.strategies import registry
from dasr.worlds.simulated.clusters import Slow
from dasr.worlds.simulated.presets import PRESETS
from dasr.learner.learner import Budget
from dasr.planning.simulate import simulate
from dasr.planning.workloads import quadratic
digest = hashlib.sha256()
cluster = dataclasses.replace(PRESETS["ethernet-1g"], slow=(Slow(1, 3.0),))
for strategy in registry.names():
    work = quadratic(dimension=8)
    learners = 1 if strategy == "single" else 5
    result = simulate(strategy, Budget(12, 2 * learners, learners), cluster, seed=3, workload=work)
    digest.update(repr(result.record()).encode())
    digest.update(repr(result.curve).encode())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_every_strategy_gives_the_same_bits_for_the_same_seed_in_two_python_processes() -> None:
    other = subprocess.Popen([sys.executable, "-c", TRACE], stdout=subprocess.PIPE, text=True)
    here: dict[str, Any] = {}
    exec(TRACE.replace("print(", "result_here = ("), here)
    output, _ = other.communicate()
    assert len(here["result_here"]) == hashlib.sha256().digest_size * 2
    assert output.strip() == here["result_here"]
