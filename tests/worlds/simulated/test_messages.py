"""Messages between simulated learners."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link
from dasr.worlds.simulated.simulation import Simulation

GBIT = Link(gbit_s=1.0, latency_us=100)


FLAT = Cluster(
    name="flat", between=GBIT, inside=Link(gbit_s=100, latency_us=5), compute=Compute(fixed_s=0.01)
)


def seconds(cluster: Cluster, learners: int, activity: Any) -> float:
    simulation = Simulation(cluster, learners)
    simulation.run(activity)
    return simulation.now


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
