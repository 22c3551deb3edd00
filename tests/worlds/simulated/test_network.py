"""Links: what a transfer costs, and who waits behind whom."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from dasr.worlds.simulated.clusters import Cluster, Level, Link
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


SLOW = Link(gbit_s=0.8, latency_us=5000)  # a tenth of LINK
SITES = (Level("rack", 2, LINK), Level("site", 4, SLOW))


def test_between_sites_a_message_is_as_slow_as_the_slowest_link_on_its_way() -> None:
    alone: dict[str, Any] = {"learners": 8, "levels": SITES}
    assert arrivals((0, 0, 1, MB), **alone) == pytest.approx([1.1e-3])
    assert arrivals((0, 0, 2, MB), **alone) == pytest.approx([1.1e-3])  # another rack of the site
    assert arrivals((0, 0, 7, MB), **alone) == pytest.approx([5e-3 + 10e-3])


def test_all_nodes_of_a_site_share_its_uplink_and_it_carries_both_directions_at_once() -> None:
    leaving = arrivals((0, 0, 4, MB), (0, 1, 5, MB), (0, 2, 6, MB), learners=8, levels=SITES)
    assert sorted(leaving) == pytest.approx([15e-3, 25e-3, 35e-3])
    crossing = arrivals((0, 0, 4, MB), (0, 4, 0, MB), learners=8, levels=SITES)
    assert crossing == pytest.approx([15e-3, 15e-3])
    behind = arrivals((0, 0, 4, MB), (1e-4, 0, 1, MB), learners=8, levels=SITES)
    assert behind == pytest.approx([15e-3, 2e-3 + 1e-4])  # its own uplink was busy for a millisecond


@pytest.mark.parametrize("size", [MB, 64 * MB])
def test_an_all_reduce_over_sites_pays_each_levels_links_for_its_ring_of_groups(size: float) -> None:
    """Two sites of two racks of two nodes of two learners, by stages: 2 (n-1)/n of all bytes on each link."""
    cluster = Cluster(learners_per_node=2, inside=LINK, between=LINK, levels=SITES, all_reduce="hierarchical")
    network = Network(cluster, 16, Clock().at)
    end, sent, messages = network.collective(0.0, "all_reduce", tuple(range(16)), size)
    within = 3 * (size / 1e9 + 2 * 100e-6)  # learners of a node, nodes of a rack, racks of a site
    assert end == pytest.approx(within + size / 1e8 + 2 * 5000e-6)
    assert sent == pytest.approx(size * (1 + 1 / 2 + 1 / 4 + 1 / 8)) and messages == 8
    ring = Network(dataclasses.replace(cluster, all_reduce="ring"), 16, Clock().at)
    end, *_ = ring.collective(0.0, "all_reduce", tuple(range(16)), size)
    assert end == pytest.approx(2 * 15 / 16 * size / 1e8 + 30 * 5000e-6)


def test_a_collective_inside_one_rack_does_not_use_the_racks_uplink() -> None:
    cluster = Cluster(inside=LINK, between=LINK, levels=SITES)
    network = Network(cluster, 8, Clock().at)
    end, *_ = network.collective(0.0, "all_reduce", (0, 1), MB)
    assert end == pytest.approx(1e-3 + 2 * 100e-6)
    assert len(network.ports((0, 1))) == 4 and len(network.ports((0, 7))) == 4 + 4 + 4
