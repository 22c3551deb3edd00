"""Learners whose GPUs are in one host make one update together, a share each.

Each sends the others their shares of every part of its gradient as soon as that part is final; who has a
share adds up what came, makes the update there and writes the result into everyone's vector. As many bytes
pass as in an all-reduce, and each learner reads and writes 1/L of what the whole update would: Xu et al. 2020
(arXiv 2004.13336), Rajbhandari et al. 2020 (arXiv 1910.02054, stage 1).

Parts that come one after another are cut up by twos: half of the learners have shares of the one, half of the
other. So there are half as many copies, kernels and signals, each of which takes the host 5 to 90 us.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from dasr.cuda.streams import record_event, wait_for
from dasr.worlds.interface import ApplyPart
from dasr.worlds.peer_memory.host_path import HostPair
from dasr.worlds.peer_memory.signals import GRADIENTS, RESULTS

if TYPE_CHECKING:
    from dasr.worlds.peer_memory.region import PeerMemory

SHARES, UPDATED = 0, 1  # slots of a way through the host: a gradient's shares; what was updated with them

Part = tuple[int, int]  # of the vectors: begin, end
Copies = list[tuple[Tensor, Tensor]]  # (from, to)


@dataclass(frozen=True)
class Shard:
    """This learner's share of one part or two. `peer`: a place on the host."""

    parts: tuple[Part, ...]
    where: slice
    everyone: list[Tensor]  # its gradient there and those of all others, once they have come
    leaving: dict[Part, Copies]  # others' shares of this learner's gradient, to where they go
    returning: Copies  # the result, to where others want it
    arriving: Copies  # others' gradients that come through the host, to their places here
    returned: Copies  # others' results, likewise


class PeerShardedUpdate:
    """A vector that each learner has a gradient of, `target` what the update changes."""

    def __init__(self, memory: PeerMemory, vector: Tensor, target: Tensor, members: tuple[int, ...]):
        self.memory, self.vector, self.target, self.members = memory, vector, target, members
        self.others = [memory.ranks.index(rank) for rank in members if rank != memory.rank]
        self._ways: dict[int, HostPair] = {}
        self._shards: dict[tuple[Part, ...], Shard] = {}
        self._parts: list[Part] = []  # sent since the last update
        self._cut_together: dict[Part, tuple[Part, ...]] = {}  # as the last update's were: all know them
        self._sent: list[tuple[Shard, Any]] = []  # and a mark behind it

    def send(self, part: slice) -> float:
        """Start sending that part; bytes, those of its result included."""
        if not self._parts:
            self._choose_ways()
        here = (part.start, part.stop)
        self._parts.append(here)
        share = self._shard(self._cut_together.get(here, (here,)))
        leaving, last = share.leaving[here], here == share.parts[-1]
        if leaving or last:
            with self.memory.side_stream("scatter", self.vector.device):
                _copy(leaving)
                if last:
                    self._sent.append((share, record_event(self.vector)))
        return float(sum(source.nbytes for source, _ in [*leaving, *(share.returning if last else [])]))

    def update(self, applying: AbstractContextManager[ApplyPart]) -> list[tuple[slice, Callable[[], None]]]:
        """Make the update of this learner's shares of what was sent, each when all have sent it. What it
        gives waits (the stream, not the thread) until the target is there: all but the last part, and that
        one."""
        memory, sent, last = self.memory, self._sent, self._sent[-1][0]
        if sum(len(share.parts) for share, _ in sent) != len(self._parts):
            raise RuntimeError(f"the gradient came in other parts than before: {self._parts}")
        earlier = [share for share, _ in sent[:-1]]
        done: list[tuple[slice, Callable[[], None]]] = []
        with memory.side_stream("gather", self.vector.device, after=False), applying as apply_part:
            for share, mark in sent:
                if share is last and earlier:
                    if not self._ways:
                        self._fetch(earlier)
                    done.append(self._there(earlier))
                wait_for(mark)
                memory.signals.meet(self.others, GRADIENTS)
                _copy(share.arriving)
                apply_part(share.where, share.everyone)
                _copy(share.returning)
                if share is last or self._ways:  # through the host it takes long: not all at the end
                    self._fetch([share])
            done.append(self._there([last]))
        self._cut_together = by_twos(tuple(self._parts))
        self._parts.clear()
        sent.clear()
        return done

    def _fetch(self, shares: list[Shard]) -> None:
        """All have made these updates: those of others come here, unless they have put them here."""
        self.memory.signals.meet(self.others, RESULTS)
        for share in shares:
            _copy(share.returned)

    def _there(self, shares: list[Shard]) -> tuple[slice, Callable[[], None]]:
        """These parts, which lie side by side, and what waits until they are there."""
        mark = record_event(self.vector)
        return slice(*_around([part for share in shares for part in share.parts])), lambda: wait_for(mark)

    def _choose_ways(self) -> None:
        """At the beginning of an update, the same at both ends."""
        memory, size = self.memory, max(self.vector.nbytes, self.target.nbytes)
        ways = memory.ways.among(self.members, size, self.vector.is_cuda)
        if ways != self._ways:
            self._ways = ways
            self._shards.clear()

    def _shard(self, parts: tuple[Part, ...]) -> Shard:
        if parts not in self._shards:
            self._shards[parts] = self._new_shard(parts)
        return self._shards[parts]

    def _new_shard(self, parts: tuple[Part, ...]) -> Shard:
        memory, own = self.memory, self.memory.ranks.index(self.memory.rank)
        begin, end = _around(parts)
        cuts = cut_into(end - begin, len(self.members))
        shares = {
            rank: slice(begin + cut.start, begin + cut.stop)
            for rank, cut in zip(self.members, cuts, strict=True)
        }
        mine, targets = shares[memory.rank], memory.everyone(self.target)
        leaving: dict[Part, Copies] = {part: [] for part in parts}
        everyone, returning, arriving, returned = [], [], [], []
        for rank, share in shares.items():
            place, way = memory.ranks.index(rank), self._ways.get(rank)
            if rank == memory.rank:
                everyone.append(self.vector[mine])
                continue
            everyone.append(memory.staged(own, place, mine.start, self.vector[mine]))
            first = memory.rank > rank  # of this learner, to that one; then back
            for part in parts:
                piece = slice(max(part[0], share.start), min(part[1], share.stop))
                if piece.start < piece.stop:
                    source = self.vector[piece]
                    if way is None:
                        there = memory.staged(place, own, piece.start, source)
                    else:
                        there = _in(way, first, SHARES, self.vector, piece)
                    leaving[part].append((source, there))
            if way is None:
                returning.append((self.target[mine], targets[place][mine]))
                continue
            arriving.append((_in(way, not first, SHARES, self.vector, mine), everyone[-1]))
            returning.append((self.target[mine], _in(way, first, UPDATED, self.target, mine)))
            returned.append((_in(way, not first, UPDATED, self.target, share), self.target[share]))
        return Shard(parts, mine, everyone, leaving, returning, arriving, returned)


def _in(way: HostPair, back: bool, slot: int, vector: Tensor, where: slice) -> Tensor:
    """The place of that part of a vector in the host's memory."""
    return way.at(back, slot, where.start * vector.element_size(), vector[where])


def _copy(pairs: Copies) -> None:
    for here, there in pairs:
        there.copy_(here, non_blocking=True)


def _around(parts: Iterable[Part]) -> Part:
    begins, ends = zip(*parts, strict=True)
    return min(begins), max(ends)


@functools.lru_cache  # asked at each step, of the same parts
def by_twos(parts: tuple[Part, ...]) -> dict[Part, tuple[Part, ...]]:
    """For each of them, in the order of coming, those that are cut up together, if they lie side by side. The
    last one is by itself: all wait for it."""
    *earlier, last = parts
    together: dict[Part, tuple[Part, ...]] = {last: (last,)}
    for one, two in itertools.zip_longest(earlier[::2], earlier[1::2]):
        if two is None or one[0] != two[1]:
            together |= {part: (part,) for part in (one, two) if part is not None}
        else:
            together |= {one: (one, two), two: (one, two)}
    return together


def cut_into(length: int, count: int) -> list[slice]:
    """`length` numbers in `count` parts that begin at multiples of 64."""
    each = -(-length // count // 64) * 64 if length > 64 * count else -(-length // count)
    return [slice(min(length, i * each), min(length, (i + 1) * each)) for i in range(count)]
