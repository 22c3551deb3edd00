"""Which learner sees which chunk when: pure arithmetic on (seed, epoch, rank), no data.

The shards of an epoch are permuted and laid on a line of chunks. The line is cut into *columns*, as many as
there are pools of `pool_shards` shards but at most one a learner, each as long as its learners are many. The
learners of a column take turns in one and the same stream. So a learner reads only its column's shards,
always shuffles over a pool of several, and every chunk goes to exactly one learner an epoch; learners' shares
differ by a chunk or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dasr.errors import UserError


class Slice(NamedTuple):
    """Chunks `first` to `last` of a shard, counted in the shard's own permutation of the epoch if not all are
    taken.
    """

    shard: int
    first: int
    last: int


class PoolPlan(NamedTuple):
    """One pool of one epoch. own: positions of this learner's chunks, in its order, among the chunks of all
    slices.
    """

    epoch: int
    slices: tuple[Slice, ...]
    own: NDArray[np.int64]
    skip: int  # own chunks already seen before a resume


@dataclass(frozen=True)
class Order:
    """counts: chunks in each shard, int64 [num_shards]."""

    counts: NDArray[np.int64]
    rank: int
    size: int
    seed: int
    pool_shards: int

    @property
    def columns(self) -> int:
        return min(self.size, max(1, len(self.counts) // self.pool_shards))

    @property
    def members(self) -> int:
        """Learners in this learner's column."""
        return len(range(self.rank % self.columns, self.size, self.columns))

    def slices(self, epoch: int) -> list[Slice]:
        """What this learner's column reads in that epoch, in order."""
        columns, column = self.columns, self.rank % self.columns
        members = [len(range(c, self.size, columns)) for c in range(columns)]
        edges = [sum(members[:c]) * int(self.counts.sum()) // self.size for c in range(columns + 1)]
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.counts))
        found, start = [], 0
        for shard in order.tolist():
            end = start + int(self.counts[shard])
            first, last = max(start, edges[column]), min(end, edges[column + 1])
            if first < last:
                found.append(Slice(shard, first - start, last - start))
            start = end
        return found

    def chunks_of(self, part: Slice, epoch: int) -> NDArray[np.int64]:
        """Indices of the slice's chunks within its shard; two columns that share a shard get disjoint random
        parts.
        """
        count = int(self.counts[part.shard])
        if (part.first, part.last) == (0, count):
            return np.arange(count)
        return np.random.default_rng([self.seed, epoch, part.shard]).permutation(count)[
            part.first : part.last
        ]

    def chunks_in(self, epoch: int) -> int:
        """Chunks that this learner sees in that epoch."""
        total = sum(part.last - part.first for part in self.slices(epoch))
        return len(range(self.rank // self.columns, total, self.members))

    def pools(self, epoch: int, position: int) -> Iterator[PoolPlan]:
        """Pools from that epoch and own position on, without end. Raises UserError for a learner that has no
        chunk in an epoch."""
        while True:
            slices, passed, given = self.slices(epoch), 0, 0
            for number in range(0, len(slices), self.pool_shards):
                part = tuple(slices[number : number + self.pool_shards])
                total = sum(piece.last - piece.first for piece in part)
                first = (self.rank // self.columns - passed) % self.members
                passed += total
                own = len(range(first, total, self.members))
                given += own
                if position >= own:
                    position -= own
                    continue
                shuffled = np.random.default_rng([self.seed, epoch, self.rank % self.columns, number])
                yield PoolPlan(epoch, part, shuffled.permutation(total)[first :: self.members], position)
                position = 0
            if not given:
                raise UserError(
                    f"learner {self.rank} has no chunk of training data ({passed} chunks for {self.members} "
                    "learners): use fewer learners, shorter chunks or more data"
                )
            epoch, position = epoch + 1, 0
