"""The name of a batch of chunks, for the error that tells of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dasr.features.order import Order, PoolPlan
from dasr.features.pool import Source
from dasr.features.store import Shard

SHOWN = 8  # utterances


@dataclass(frozen=True, eq=False)
class BatchName:
    """Made for every batch, so its utterances are looked up only where it is put into words."""

    source: Source
    order: Order
    batch: int
    epoch: int
    position: int  # of this learner's chunks in that epoch, after the batch

    def __str__(self) -> str:
        last = self.position
        names = self.utterances()
        more = ", ..." if len(names) > SHOWN else ""
        where = f"of chunks {last - self.batch} to {last - 1} of epoch {self.epoch} of its share"
        return f"{where}, of utterances {', '.join(names[:SHOWN])}{more}"

    def utterances(self) -> list[str]:
        """Each once, in the order of the chunks."""
        epoch, first = self.epoch, self.position - self.batch
        while first < 0:  # it began in the epoch before
            epoch -= 1
            first += self.order.chunks_in(epoch)
        names: list[str] = []
        for plan in self.order.pools(epoch, first):
            names += self._of_pool(plan)
            if len(names) >= self.batch:
                break
        return list(dict.fromkeys(names[: self.batch]))

    def _of_pool(self, plan: PoolPlan) -> list[str]:
        """The utterance of each of the learner's chunks in a pool that are still to come."""
        found: list[str] = []
        for part in plan.slices:
            shard = Shard.open(self.source.features[part.shard])
            begins = self.source.table(part.shard, shard).begin[self.order.chunks_of(part, plan.epoch)]
            rows = np.searchsorted(shard.offsets, begins, side="right") - 1
            found += [shard.utterances[row] for row in rows]
        return [found[place] for place in plan.own[plan.skip :]]
