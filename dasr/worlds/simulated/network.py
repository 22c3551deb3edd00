"""What communication costs: links with bandwidth, latency and contention, and collectives over them.

Every learner has a port to its node's inner network, every node an uplink, and so has every rack and site;
all are full duplex. A link carries one transfer at a time, first come first served: contention shows at a
node's uplink, or at a parameter server's. A transfer starts on the receiver's side `latency` after it started
on the sender's (cut-through), or when the receiver's side is free, whichever is later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from dasr.worlds.simulated.clusters import Cluster, Level, Link


class Port:
    """One direction of one link: when it is free again, what it has carried, and the tokens of its bucket."""

    __slots__ = ("burst", "carried", "free_at", "heads_until", "messages_until", "rate")

    def __init__(self, link: Link) -> None:
        self.rate = link.bytes_s
        self.burst = link.burst_bytes
        self.free_at = 0.0
        self.carried = 0.0  # seconds, including those to come until free_at
        self.messages_until = 0.0  # as free_at, but of messages only
        self.heads_until = -1.0  # when the last head that had to queue here reaches its receiver's side

    def take(self, start: float, size: float) -> float:
        """Occupy from `start` (when it must be free) for `size` bytes; gives the time when the last has
        left."""
        if self.burst:  # the bucket fills while the link is idle, up to `burst`
            size = max(0.0, size - min(self.burst, (start - self.free_at) * self.rate))
        seconds = size / self.rate
        self.carried += seconds
        self.free_at = end = start + seconds
        return end

    def carried_until(self, now: float) -> float:
        """Seconds that bytes have passed here so far."""
        return self.carried - self.free_at + now if self.free_at > now else self.carried


class Network:
    """The links of `cluster` between `learners`. Asks `at(time, action, argument)` for events."""

    def __init__(
        self, cluster: Cluster, learners: int, at: Callable[[float, Callable[[Any], None], Any], None]
    ) -> None:
        self.cluster = cluster
        self.nodes = cluster.nodes(learners)
        self._at = at
        self._own_links = cluster.own_links
        self._flow_contention = cluster.flow_contention
        self.message_slowdown = cluster.message_slowdown
        self._slows_compute = cluster.compute_slowdown > 1
        self._latency_inside = cluster.inside.latency_s
        self._latency_between = cluster.between.latency_s
        self._inner = [(Port(cluster.inside), Port(cluster.inside)) for _ in range(learners)]
        count = self.nodes[-1] + 1 if self.nodes else 0
        self._uplinks = [(Port(cluster.between), Port(cluster.between)) for _ in range(count)]
        self._groups = [
            [(Port(level.link), Port(level.link)) for _ in range((count - 1) // level.nodes + 1)]
            for level in cluster.levels
        ]
        self._plans: dict[tuple[int, ...], Plan] = {}

    def link(self, a: int, b: int) -> Link:
        """The highest link on the way between two learners."""
        here, there = self.nodes[a], self.nodes[b]
        if self._own_links or here == there:
            return self.cluster.inside
        crossed = self._crossed(here, there)
        return crossed[-1].link if crossed else self.cluster.between

    def _crossed(self, here: int, there: int) -> list[Level]:
        """The levels at which two nodes are in different groups."""
        return [level for level in self.cluster.levels if here // level.nodes != there // level.nodes]

    def transfer(
        self, now: float, source: int, to: int, size: float, arrived: Callable[[Any], None], message: Any
    ) -> None:
        """Move `size` bytes; `arrived(message)` is called when the last one is there."""
        nodes = self.nodes
        here, there = nodes[source], nodes[to]
        if here == there or self._own_links:
            latency, out, into = self._latency_inside, self._inner[source][0], self._inner[to][1]
        else:
            latency, out, into = self._latency_between, self._uplinks[here][0], self._uplinks[there][1]
            if self._groups and (crossed := self._crossed(here, there)):
                return self._far(now, (here, there), crossed, size, arrived, message)
        if self._flow_contention > 1.0:
            if out.messages_until > now or into.messages_until > now:
                size *= self._flow_contention
            out.messages_until = (out.free_at if out.free_at > now else now) + size / out.rate
            into.messages_until = (into.free_at if into.free_at > now else now) + size / into.rate
        first = now + latency
        if out.free_at <= now and out.heads_until < now:
            if (
                into.free_at <= first and not out.burst and not self._slows_compute
            ):  # alone there: the usual case
                out.free_at = now + size / out.rate
                into.free_at = end = first + size / into.rate
                self._at(end, arrived, message)
            else:
                left = out.take(now, size)
                self._land(first, left + latency, into, size, arrived, message)
        else:  # the receiver's side is taken when the head gets there, in the order of sending
            start = out.free_at if out.free_at > now else now
            left = out.take(start, size)
            out.heads_until = start + latency
            self._at(
                start + latency,
                self._head_arrives,
                (start + latency, left + latency, into, size, arrived, message),
            )

    def _far(
        self,
        now: float,
        nodes: tuple[int, int],
        crossed: list[Level],
        size: float,
        arrived: Callable[[Any], None],
        message: Any,
    ) -> None:
        """A transfer by the uplinks of both nodes and of the groups around each of them."""
        here, there = nodes
        up, down = [self._uplinks[here][0]], [self._uplinks[there][1]]
        for level, groups in zip(crossed, self._groups, strict=False):  # whoever differs above differs below
            up.append(groups[here // level.nodes][0])
            down.append(groups[there // level.nodes][1])
        ways = [(port, 0.0) for port in up[:-1]] + [(up[-1], crossed[-1].link.latency_s)]
        ways += [(port, 0.0) for port in reversed(down)]
        self._hop((now, now, ways, size, arrived, message))

    def _hop(self, head: _Head) -> None:
        """A head is at a link: it waits for that to be free, and goes on to the next one."""
        now, last, [(port, latency), *further], size, arrived, message = head
        begin = port.free_at if port.free_at > now else now
        end = max(port.take(begin, size), last) + latency
        if further:
            self._at(begin + latency, self._hop, (begin + latency, end, further, size, arrived, message))
        else:
            self._at(end, arrived, message)

    def _head_arrives(self, head: tuple[float, float, Port, float, Callable[[Any], None], Any]) -> None:
        self._land(*head)

    def _land(
        self, first: float, last: float, into: Port, size: float, arrived: Callable[[Any], None], message: Any
    ) -> None:
        begin = into.free_at if into.free_at > first else first
        end = into.take(begin, size)
        self._at(end if end > last else last, arrived, message)

    def extra(self, source: int, to: int, size: float, computing: float) -> float:
        """Bytes to add to a message whose ends compute for the next `computing` seconds."""
        meanwhile = computing * self.cluster.compute_slowdown * self.link(source, to).bytes_s
        return (self.message_slowdown - 1) * min(size, meanwhile)

    def busy(self, rank: int, now: float) -> bool:
        """Whether messages are under way on this learner's link."""
        out, into = self._own(rank)
        return out.free_at > now or into.free_at > now

    def carried(self, rank: int, now: float) -> float:
        """Seconds that bytes have passed on this learner's link so far, in the busier direction."""
        out, into = self._own(rank)
        return max(out.carried_until(now), into.carried_until(now))

    def _own(self, rank: int) -> tuple[Port, Port]:
        alone = self._own_links or self.cluster.learners_per_node >= len(self.nodes)
        return self._inner[rank] if alone else self._uplinks[self.nodes[rank]]

    def collective(
        self, now: float, kind: str, members: tuple[int, ...], size: float
    ) -> tuple[float, float, int]:
        """(end, bytes sent by each, messages sent by each) of a collective on `size` bytes a learner.

        Its bytes queue on each link that it uses, behind what is there, and it ends when the last link is
        done: so it shares links with messages as flows do, and no link stands idle while another is busy."""
        plan = self._plans.get(members)
        if plan is None:
            plan = self._plans[members] = Plan(self, members)
        cost = plan.cost(kind, size)
        last = now + cost.busy
        for port in plan.ports:
            port.carried += cost.busy
            port.free_at = done = (port.free_at if port.free_at > now else now) + cost.busy
            if done > last:
                last = done
        return last + cost.latency, cost.sent, cost.messages

    def ports(self, members: tuple[int, ...]) -> list[Port]:
        """Of the links that a collective of these learners uses."""
        nodes = sorted({self.nodes[rank] for rank in members})
        if len(nodes) == 1 or self._own_links:
            return [port for rank in members for port in self._inner[rank]]
        found = [port for node in nodes for port in self._uplinks[node]]
        for level, ports in zip(self.cluster.levels, self._groups, strict=True):
            groups = sorted({node // level.nodes for node in nodes})
            if len(groups) > 1:
                found += [port for group in groups for port in ports[group]]
        return found


_Head = tuple[float, float, list[tuple[Port, float]], float, Callable[[Any], None], Any]
"""(when it is there, when its last byte is, links to pass and the latency after each, bytes, arrived,
message)"""


class Cost(NamedTuple):
    """Of a collective: seconds that its links carry bytes, seconds of latency; what each learner sends."""

    busy: float
    latency: float
    sent: float
    messages: int


class Stage(NamedTuple):
    """Of a hierarchical collective: so many units meet over links of their own, each of so many learners."""

    units: int
    learners: int
    link: Link


class Plan:
    """A group of learners: how many share a node, a rack, a site, which links they use, what a collective
    costs them."""

    def __init__(self, network: Network, members: tuple[int, ...]) -> None:
        self.cluster = network.cluster
        self.size = len(members)
        self.stages = list(_stages(network, members))
        self.ports = network.ports(members) if self.size > 1 else []

    def cost(self, kind: str, size: float) -> Cost:
        """Of a collective of `size` bytes a learner: by the ring, in stages, or the cheaper of the two."""
        if self.size == 1:
            return Cost(0.0, 0.0, 0.0, 0)
        passes = 2 if kind == "all_reduce" else 1  # reduce-scatter and all-gather, or all-gather alone
        part = size / self.size if kind == "all_reduce" else size
        ring = self._ring(passes, part)
        if len(self.stages) == 1 or self.cluster.all_reduce == "ring":
            return ring
        by_stages = self._hierarchical(passes, part)
        if self.cluster.all_reduce == "hierarchical":
            return by_stages
        return min(ring, by_stages, key=lambda cost: cost.busy + cost.latency)

    def _ring(self, passes: int, part: float) -> Cost:
        """passes x (L-1) hops of `part` bytes: 2(L-1)/L x bytes for an all-reduce. An uplink carries one
        edge."""
        hops = passes * (self.size - 1)
        links = [stage.link for stage in self.stages]
        burst = min(link.burst_bytes for link in links)
        busy = max(0.0, hops * part - burst) / min(link.bytes_s for link in links)
        return Cost(busy, hops * max(link.latency_s for link in links), hops * part, hops)

    def _hierarchical(self, passes: int, part: float) -> Cost:
        """Reduce-scatter in each node, then in each rack over the nodes' uplinks, and so on; a ring of the
        largest groups for each part; all-gather in each group, in each node."""
        whole, busy, latency, sent, messages = part * self.size, 0.0, 0.0, 0.0, 0
        for stage in self.stages:
            hops = passes * (stage.units - 1)
            carried = hops * whole / stage.units  # by each unit's link
            busy += carried / stage.link.bytes_s
            latency += hops * stage.link.latency_s
            sent += carried / stage.learners
            messages += hops
        return Cost(busy, latency, sent, messages)


def _stages(network: Network, members: tuple[int, ...]) -> Iterator[Stage]:
    """Where several units meet: learners of a node, nodes of a rack, racks of a site. A unit that is less
    full than others does not make them faster."""
    cluster = network.cluster
    links = [cluster.inside, cluster.between, *(level.link for level in cluster.levels)]
    if cluster.collectives is not None:
        links = [cluster.collectives] * len(links)
    parents = [list(network.nodes)]
    parents += [[node // level.nodes for node in network.nodes] for level in cluster.levels]
    of = {rank: rank for rank in members}  # the unit of each
    learners = 1
    for link, parent in zip(links, [*parents, [0] * len(network.nodes)], strict=True):
        above = {rank: parent[rank] for rank in members}
        full = Counter(above[rank] for rank in {unit: rank for rank, unit in of.items()}.values())
        units = max(full.values())
        if units > 1:
            yield Stage(units, learners, link)
        of, learners = above, max(Counter(above.values()).values())


def store_seconds(cluster: Cluster, askers: Sequence[int] | int = 1) -> float:
    """Time of one question to the shared store; a meeting of many asks log2 of them in turn."""
    count = askers if isinstance(askers, int) else len(askers)
    return cluster.store_us * 1e-6 * max(1, (count - 1).bit_length())
