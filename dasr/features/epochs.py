"""Which learner sees which utterances when, and in which padded shape: pure arithmetic, no data.

The shards of an epoch are permuted and taken in *pools*. A pool's utterances are shuffled, sorted into
buckets by the smallest of a dozen padded lengths that holds them, and cut into batches; what is left over in
a bucket goes to the next longer one. So an epoch has each utterance once, only a pool's last batch may be
short, and all learners have the same number of batches: nobody waits for one that has none.

    aligned       all learners have a batch of one shape in each step
    independent   each learner cuts its own share of the pool
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dasr.errors import UserError

Ints = NDArray[np.int64]
Buckets = Literal["aligned", "independent"]
SHAPES = 12


def padded_lengths(counts: Ints, most: int = SHAPES, multiple: int = 1) -> tuple[int, ...]:
    """The padded lengths, at most `most` multiples of `multiple`, with which the fewest frames are padding.

    counts: how many utterances have length i, [longest + 1]. Dynamic programming over the lengths that
    occur."""
    lengths = np.flatnonzero(counts)
    steps = -(-lengths // multiple)
    sizes = np.unique(steps)
    # how many utterances have at most each size, and a 0 before them
    below = np.concatenate([[0], np.cumsum(np.bincount(np.searchsorted(sizes, steps), counts[lengths]))])
    cost = np.concatenate([[0.0], np.full(len(sizes), np.inf)])  # of all utterances below, with k lengths
    chosen = []
    for _ in range(min(most, len(sizes))):
        # [j, i]: the utterances after i and up to j are padded to size j
        through = cost[None, :-1] + sizes[:, None] * (below[1:, None] - below[None, :-1])
        through[np.triu_indices(len(sizes), 1)] = np.inf
        best = through.argmin(axis=1)
        chosen.append(best)
        cost = np.concatenate([[np.inf], through[np.arange(len(sizes)), best]])
    found, end = [], len(sizes)
    for best in reversed(chosen):
        if end == 0:
            break
        found.append(int(sizes[end - 1]) * multiple)
        end = int(best[end - 1])
    return tuple(reversed(found))


class Place(NamedTuple):
    """A learner's batch: its padded length, and its utterances, counted in the pool."""

    frames: int
    utterances: Ints


@dataclass(frozen=True)
class EpochPlan:
    """The same on every learner. counts: usable utterances in each shard, [num_shards]."""

    counts: Ints
    frames: tuple[int, ...]  # the padded lengths, ascending
    batch: int  # utterances in one learner's batch
    learners: int
    seed: int
    buckets: Buckets = "aligned"
    pool_shards: int = 4

    def pools(self, epoch: int) -> list[tuple[int, ...]]:
        """The shards of each pool, in the order of the epoch; the last pool has the remainder too."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.counts)).tolist()
        number = max(1, len(order) // self.pool_shards)
        edges = [self.pool_shards * n for n in range(number)] + [len(order)]
        return [tuple(order[a:b]) for a, b in itertools.pairwise(edges)]

    def steps(self, pool: Sequence[int]) -> int:
        """Batches that each learner has of that pool. Raises UserError where some would have nothing."""
        utterances = int(self.counts[list(pool)].sum())
        if utterances < self.learners:
            raise UserError(
                f"{utterances} utterances cannot be shared by {self.learners} learners: use fewer learners, "
                "or fewer and larger shards"
            )
        return -(-utterances // (self.batch * self.learners))

    def places(self, epoch: int, number: int, lengths: Ints, rank: int) -> Iterator[Place]:
        """This learner's batches of pool `number` of that epoch. lengths: frames of the pool's utterances."""
        draw = np.random.default_rng([self.seed, epoch, number])
        order = draw.permutation(len(lengths))
        aligned = self.buckets == "aligned"
        if aligned:
            size, own = self.batch * self.learners, order
        else:
            size, own = self.batch, order[rank :: self.learners]
        steps = self.steps(self.pools(epoch)[number])
        batches = _levelled(_cut(own, self._bucket(lengths[own]), size), steps)
        for index in draw.permutation(steps):
            together = batches[index]
            place = self._bucket(lengths[together]).max(initial=0)
            yield Place(self.frames[place], together[rank :: self.learners] if aligned else together)

    def _bucket(self, lengths: Ints) -> Ints:
        return np.searchsorted(np.array(self.frames), lengths)


def _cut(order: Ints, bucket: Ints, size: int) -> list[Ints]:
    """Batches of `size`, bucket by bucket; what is left over goes to the next bucket."""
    batches: list[Ints] = []
    left = order[:0]
    for number in range(int(bucket.max(initial=0)) + 1):
        members = np.concatenate([left, order[bucket == number]])
        whole = len(members) // size
        batches += np.split(members[: whole * size], whole) if whole else []
        left = members[whole * size :]
    return [*batches, left] if len(left) else batches


def _levelled(batches: list[Ints], steps: int) -> list[Ints]:
    """`steps` batches, the last two of one size, so that a short one has something for every learner. (With
    one utterance a learner some may still have nothing: a gradient of zero.)"""
    batches = batches + [np.empty(0, np.int64)] * (steps - len(batches))
    if len(batches) > 1:
        batches[-2:] = np.array_split(np.concatenate(batches[-2:]), 2)
    return batches
