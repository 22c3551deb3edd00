"""Learners whose GPUs are in one host make one update together: each updates one shard of the vector.

Each sends the others their shards of every part of its gradient as soon as that part is final. The owner of a
shard averages the gradients, updates the shard and writes it into everyone's vector. This sends as many bytes
as an all-reduce, and each learner reads and writes 1/L of what the whole update would: Xu et al. 2020 (arXiv
2004.13336), Rajbhandari et al. 2020 (arXiv 1910.02054, stage 1).

Adjacent parts are cut into shards two at a time: half of the learners own shards of the one, half of the
other. This halves the number of copies, kernels and signals, each of which costs the host 5 to 90 us.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dasr.cuda.streams import record_event, wait_for
from dasr.worlds.interface import ApplyPart
from dasr.worlds.peer_memory.region import PeerRegion, cut_into
from dasr.worlds.peer_memory.signals import GRADIENTS, RESULTS

Part = tuple[int, int]  # of the vectors: begin, end
Copies = list[tuple[Tensor, Tensor]]  # (from, to)


@dataclass(frozen=True)
class Shard:
    """This learner's shard of one part or two."""

    parts: tuple[Part, ...]
    where: slice  # of the vector: what this learner updates
    gradients: list[Tensor]  # of all learners there, once they have come
    leaving: dict[Part, Copies]  # this learner's gradient of others' shards
    returning: Copies  # the updated shard, to all others


class PeerShardedUpdate:
    """Updates of `target`; `vector`: the gradient that each learner has."""

    def __init__(self, region: PeerRegion, vector: Tensor, target: Tensor, members: tuple[int, ...]):
        self.region, self.vector, self.target, self.members = region, vector, target, members
        self.others = [region.ranks.index(rank) for rank in members if rank != region.rank]
        self._shards: dict[tuple[Part, ...], Shard] = {}
        self._parts: list[Part] = []  # sent since the last update
        self._cut_together: dict[Part, tuple[Part, ...]] = {}  # as the last update's were: all know them
        self._sent: list[tuple[Shard, Any]] = []  # each with an event: all of it has been sent

    def send(self, part: slice) -> float:
        """Start sending that part. Gives the bytes that are sent for it, updated shards included."""
        here = (part.start, part.stop)
        self._parts.append(here)
        shard = self._shard(self._cut_together.get(here, (here,)))
        leaving, last = shard.leaving[here], here == shard.parts[-1]
        if leaving or last:
            with self.region.side_stream("scatter", self.vector.device):
                _copy(leaving)
                if last:
                    self._sent.append((shard, record_event(self.vector)))
        return float(sum(source.nbytes for source, _ in [*leaving, *(shard.returning if last else [])]))

    def update(self, applying: AbstractContextManager[ApplyPart]) -> list[tuple[slice, Callable[[], None]]]:
        """Update this learner's shards of what was sent, each once all have sent it. Gives two slices (all
        parts but the last; the last), each with a function that makes the stream, not the thread, wait until
        all learners have updated the target there. Raises RuntimeError where the parts differ from those of
        the last update."""
        region, sent, last = self.region, self._sent, self._sent[-1][0]
        if sum(len(shard.parts) for shard, _ in sent) != len(self._parts):
            raise RuntimeError(f"the gradient came in other parts than before: {self._parts}")
        earlier = [shard for shard, _ in sent[:-1]]
        done: list[tuple[slice, Callable[[], None]]] = []
        with region.side_stream("gather", self.vector.device, after=False), applying as apply_part:
            for shard, all_sent in sent:
                if shard is last and earlier:
                    done.append(self._all_updated(earlier))
                wait_for(all_sent)
                region.signals.meet(self.others, GRADIENTS)
                apply_part(shard.where, shard.gradients)
                _copy(shard.returning)
            done.append(self._all_updated([last]))
        self._cut_together = by_twos(tuple(self._parts))
        self._parts.clear()
        sent.clear()
        return done

    def _all_updated(self, shards: list[Shard]) -> tuple[slice, Callable[[], None]]:
        """Wait for all learners' updates of these shards. Gives their parts, which lie side by side, as one
        slice, and what makes another stream wait for the same."""
        self.region.signals.meet(self.others, RESULTS)
        event = record_event(self.vector)
        return slice(*_around([part for shard in shards for part in shard.parts])), lambda: wait_for(event)

    def _shard(self, parts: tuple[Part, ...]) -> Shard:
        if parts not in self._shards:
            self._shards[parts] = self._new_shard(parts)
        return self._shards[parts]

    def _new_shard(self, parts: tuple[Part, ...]) -> Shard:
        region, own = self.region, self.region.ranks.index(self.region.rank)
        begin, end = _around(parts)
        cuts = cut_into(end - begin, len(self.members))
        shards = {
            rank: slice(begin + cut.start, begin + cut.stop)
            for rank, cut in zip(self.members, cuts, strict=True)
        }
        mine, targets = shards[region.rank], region.everyone(self.target)
        leaving: dict[Part, Copies] = {part: [] for part in parts}
        gradients, returning = [], []
        for rank, shard in shards.items():
            place = region.ranks.index(rank)
            if rank == region.rank:
                gradients.append(self.vector[mine])
                continue
            gradients.append(region.staged(own, place, mine.start, self.vector[mine]))
            for part in parts:
                piece = slice(max(part[0], shard.start), min(part[1], shard.stop))
                if piece.start < piece.stop:
                    source = self.vector[piece]
                    leaving[part].append((source, region.staged(place, own, piece.start, source)))
            returning.append((self.target[mine], targets[place][mine]))
        return Shard(parts, mine, gradients, leaving, returning)


def _copy(pairs: Copies) -> None:
    for here, there in pairs:
        there.copy_(here, non_blocking=True)


def _around(parts: Iterable[Part]) -> Part:
    begins, ends = zip(*parts, strict=True)
    return min(begins), max(ends)


@functools.lru_cache  # asked at each step, of the same parts
def by_twos(parts: tuple[Part, ...]) -> dict[Part, tuple[Part, ...]]:
    """For each part, those that are cut into shards together: consecutive ones, where they are adjacent. The
    last part is alone, because all learners wait for it."""
    *earlier, last = parts
    together: dict[Part, tuple[Part, ...]] = {last: (last,)}
    for one, two in itertools.zip_longest(earlier[::2], earlier[1::2]):
        if two is None or one[0] != two[1]:
            together |= {part: (part,) for part in (one, two) if part is not None}
        else:
            together |= {one: (one, two), two: (one, two)}
    return together
