"""What messages and gradients cost each other where they share a processor."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Link
from dasr.worlds.simulated.simulation import Simulation

GBIT = Link(gbit_s=1.0)
MESSAGE = torch.zeros(312_500)  # 10 ms on that link


async def exchange_beside_a_gradient(world: World) -> tuple[float, float]:
    """When the gradient is done, and when the message is there."""
    exchange = world.exchange((MESSAGE,), world.rank ^ 1)
    await world.compute(lambda ready: None)
    computed = world.now()
    await exchange
    return computed, world.now()


def times(gradient_s: float, **traffic: Any) -> tuple[float, float]:
    cluster = Cluster(own_links=True, inside=GBIT, compute=Compute(fixed_s=gradient_s), **traffic)
    results: list[tuple[float, float]] = Simulation(cluster, 2).run(exchange_beside_a_gradient)
    assert results[0] == results[1]
    return results[0]


def test_a_gradient_makes_less_progress_while_bytes_pass() -> None:
    assert times(0.010) == pytest.approx((0.010, 0.010))
    # a third of the gradient in the 10 ms of the message, the rest behind it
    assert times(0.010, compute_slowdown=3.0) == pytest.approx(
        (0.010 + 20 / 3 * 1e-3, 0.010 + 20 / 3 * 1e-3), rel=2e-3
    )
    # all of it beside the message
    assert times(0.002, compute_slowdown=3.0) == pytest.approx((0.006, 0.010), rel=2e-3)


def test_a_message_takes_longer_while_its_ends_compute() -> None:
    assert times(0.040, message_slowdown=1.5) == pytest.approx((0.040, 0.040))
    computed, arrived = times(0.002, message_slowdown=1.5)
    assert (computed, arrived) == pytest.approx((0.002, 0.011))  # half more for the 2 ms that they compute


def test_the_delay_of_gradients_varies_around_its_mean() -> None:
    cluster = Cluster(
        own_links=True,
        inside=GBIT,
        compute=Compute(fixed_s=0.002),
        compute_slowdown=3.0,
        compute_slowdown_jitter=0.5,
    )

    async def many(world: World) -> list[float]:
        taken = []
        for _ in range(400):
            began = world.now()
            taken.append((await exchange_beside_a_gradient(world))[0] - began)
        return taken

    delays = torch.tensor(Simulation(cluster, 2).run(many)[0]) - 0.002
    assert float(delays.mean()) == pytest.approx(0.004, rel=0.15)
    assert float(delays.std() / delays.mean()) > 0.3
