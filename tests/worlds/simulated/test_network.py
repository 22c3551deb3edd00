"""Links: what a transfer costs, and who waits behind whom."""

from __future__ import annotations

from typing import Any

import pytest

from dasr.worlds.simulated.clusters import Cluster, Link
from dasr.worlds.simulated.network import Network, Port

LINK = Link(gbit_s=8.0, latency_us=100)  # a gigabyte a second
MB = 1e6


class Clock:
    """Runs events in the order of their times."""

    def __init__(self) -> None:
        self.events: list[tuple[float, int, Any, Any]] = []

    def at(self, time: float, action: Any, argument: Any) -> None:
        self.events.append((time, len(self.events), action, argument))

    def run(self) -> None:
        while self.events:
            self.events.sort(key=lambda event: event[:2])
            self.now, _, action, argument = self.events.pop(0)
            action(argument)


def arrivals(*transfers: tuple[float, int, int, float], learners: int = 4, **cluster: Any) -> list[float]:
    """When each transfer (start, source, to, bytes) is there."""
    clock, found = Clock(), dict[int, float]()
    network = Network(Cluster(name="n", between=LINK, inside=LINK, **cluster), learners, clock.at)

    def arrived(number: int) -> None:
        found[number] = clock.now

    def start(number: int) -> None:
        time, source, to, size = transfers[number]
        network.transfer(time, source, to, size, arrived, number)

    for number, (time, *_) in enumerate(transfers):
        clock.at(time, start, number)
    clock.run()
    return [found[number] for number in range(len(transfers))]


def test_a_lone_transfer_costs_its_latency_and_its_bytes() -> None:
    assert arrivals((0.5, 0, 1, 3 * MB)) == pytest.approx([0.5 + 100e-6 + 3e-3])


def test_transfers_queue_at_the_sender_and_at_the_receiver_but_not_with_strangers() -> None:
    assert arrivals((0, 0, 1, MB), (0, 0, 2, MB)) == pytest.approx([1.1e-3, 2.1e-3])
    assert arrivals((0, 0, 2, MB), (0, 1, 2, MB)) == pytest.approx([1.1e-3, 2.1e-3])
    assert arrivals((0, 0, 1, MB), (0, 2, 3, MB)) == pytest.approx([1.1e-3, 1.1e-3])


def test_both_directions_of_a_link_carry_at_once() -> None:
    assert arrivals((0, 0, 1, MB), (0, 1, 0, MB)) == pytest.approx([1.1e-3, 1.1e-3])


def test_learners_of_a_node_share_its_uplink_and_not_what_is_inside() -> None:
    outward = arrivals((0, 0, 2, MB), (0, 1, 3, MB), learners_per_node=2)
    assert outward == pytest.approx([1.1e-3, 2.1e-3])
    inward = arrivals((0, 0, 1, MB), (0, 1, 0, MB), learners_per_node=2)
    assert inward == pytest.approx([1.1e-3, 1.1e-3])


def test_a_port_counts_the_seconds_that_bytes_have_passed() -> None:
    port = Port(LINK)
    assert port.take(1.0, 2 * MB) == pytest.approx(1.002)
    assert port.carried_until(1.001) == pytest.approx(0.001)
    assert port.carried_until(5.0) == pytest.approx(0.002)
