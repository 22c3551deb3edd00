"""Learners whose GPUs are in one host make one update together, a share each.

Each sends the others their shares of every part of its gradient as soon as that part is final; who has a
share adds up what came, makes the update there and writes the result into everyone's vector. As many bytes
pass as in an all-reduce, and each learner reads and writes 1/L of what the whole update would: Xu et al. 2020
(arXiv 2004.13336), Rajbhandari et al. 2020 (arXiv 1910.02054, stage 1).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from dasr.worlds.interface import Make
from dasr.worlds.on_device import marked, wait_for
from dasr.worlds.peer_host import HostPair
from dasr.worlds.signals import GRADIENTS, RESULTS

if TYPE_CHECKING:
    from dasr.worlds.peer_memory import PeerMemory

SHARES, UPDATED = 0, 1  # slots of a way through the host: a gradient's shares; what was updated with them


@dataclass(frozen=True)
class Share:
    """One part of the vectors. `peer`: a place on the host."""

    part: slice
    where: slice  # this learner's share
    everyone: list[Tensor]  # its gradient there and those of all others, once they have come
    leaving: list[tuple[Tensor, Tensor]]  # (a share of this learner's gradient, where it goes)
    returning: list[tuple[Tensor, Tensor]]  # (the result, where others want it)
    # What comes through the host: (others' gradients, their places here), (others' results, likewise)
    arriving: list[tuple[Tensor, Tensor]]
    returned: list[tuple[Tensor, Tensor]]


class Shares:
    """A vector that each learner has a gradient of, `target` what the update changes."""

    def __init__(self, memory: PeerMemory, vector: Tensor, target: Tensor, members: tuple[int, ...]):
        self.memory, self.vector, self.target, self.members = memory, vector, target, members
        self.others = [memory.ranks.index(rank) for rank in members if rank != memory.rank]
        self._ways: dict[int, HostPair] = {}
        self._shares: dict[tuple[int, int], Share] = {}
        self._sent: list[tuple[Share, Any]] = []  # and a mark behind it

    def send(self, part: slice) -> float:
        """Start sending that part; bytes, those of its result included."""
        if not self._sent:
            self._choose_ways()
        share = self._share(part)
        with self.memory.beside("scatter", self.vector.device):
            _copy(share.leaving)
            self._sent.append((share, marked(self.vector)))
        sizes = [here.nbytes for here, _ in [*share.leaving, *share.returning]]
        return float(sum(sizes))

    def update(self, making: AbstractContextManager[Make]) -> list[tuple[slice, Callable[[], None]]]:
        """Make the update of this learner's shares of what was sent, each when all have sent it. What it
        gives waits (the stream, not the thread) until the target is there: all but the last part, and that
        one."""
        memory, sent, last = self.memory, self._sent, self._sent[-1][0]
        earlier = [share for share, _ in sent[:-1]]
        done: list[tuple[slice, Callable[[], None]]] = []
        with memory.beside("gather", self.vector.device, after=False), making as make:
            for part, mark in sent:
                if part is last and earlier:
                    if not self._ways:
                        self._fetch(earlier)
                    done.append(self._there(earlier))
                wait_for(mark)
                self._signal(GRADIENTS)
                _copy(part.arriving)
                make(part.where, part.everyone)
                _copy(part.returning)
                if part is last or self._ways:  # through the host it takes long: not all at the end
                    self._fetch([part])
            done.append(self._there([last]))
        sent.clear()
        return done

    def _fetch(self, shares: list[Share]) -> None:
        """All have made these updates: those of others come here, unless they have put them here."""
        self._signal(RESULTS)
        for share in shares:
            _copy(share.returned)

    def _there(self, shares: list[Share]) -> tuple[slice, Callable[[], None]]:
        """These parts, which lie side by side, and what waits until they are there."""
        mark = marked(self.vector)
        where = slice(min(share.part.start for share in shares), max(share.part.stop for share in shares))
        return where, lambda: wait_for(mark)

    def _signal(self, channel: int) -> None:
        """What comes after this (on the stream) comes after what all others had put before theirs."""
        for peer in self.others:
            self.memory.signals.put(peer, channel)
        for peer in self.others:
            self.memory.signals.wait(peer, channel)

    def _choose_ways(self) -> None:
        """At the beginning of an update, the same at both ends."""
        memory, size = self.memory, max(self.vector.nbytes, self.target.nbytes)
        ways = memory.ways.among(self.members, size, self.vector.is_cuda)
        if ways != self._ways:
            self._ways = ways
            self._shares.clear()

    def _share(self, part: slice) -> Share:
        key = (part.start, part.stop)
        if key not in self._shares:
            self._shares[key] = self._new_share(part)
        return self._shares[key]

    def _new_share(self, part: slice) -> Share:
        memory, own = self.memory, self.memory.ranks.index(self.memory.rank)
        cuts = cut_into(part.stop - part.start, len(self.members))
        shares = {
            rank: slice(part.start + cut.start, part.start + cut.stop)
            for rank, cut in zip(self.members, cuts, strict=True)
        }
        mine, targets = shares[memory.rank], memory.everyone(self.target)
        leaving, everyone, returning, arriving, returned = [], [], [], [], []
        for rank, share in shares.items():
            place = memory.ranks.index(rank)
            if rank == memory.rank:
                everyone.append(self.vector[mine])
                continue
            everyone.append(memory.staged(own, place, mine.start, self.vector[mine]))
            way = self._ways.get(rank)
            if way is None:
                there = memory.staged(place, own, share.start, self.vector[share])
                leaving.append((self.vector[share], there))
                returning.append((self.target[mine], targets[place][mine]))
                continue
            first = memory.rank > rank  # of this learner, to that one; then back
            leaving.append((self.vector[share], _in(way, first, SHARES, self.vector, share)))
            arriving.append((_in(way, not first, SHARES, self.vector, mine), everyone[-1]))
            returning.append((self.target[mine], _in(way, first, UPDATED, self.target, mine)))
            returned.append((_in(way, not first, UPDATED, self.target, share), self.target[share]))
        return Share(part, mine, everyone, leaving, returning, arriving, returned)


def _in(way: HostPair, back: bool, slot: int, vector: Tensor, where: slice) -> Tensor:
    """The place of that part of a vector in the host's memory."""
    return way.at(back, slot, where.start * vector.element_size(), vector[where])


def _copy(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for here, there in pairs:
        there.copy_(here, non_blocking=True)


def cut_into(length: int, count: int) -> list[slice]:
    """`length` numbers in `count` parts that begin at multiples of 64."""
    each = -(-length // count // 64) * 64 if length > 64 * count else -(-length // count)
    return [slice(min(length, i * each), min(length, (i + 1) * each)) for i in range(count)]
