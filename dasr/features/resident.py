"""A feed whose shards are all on a device: the batches of a Feed, bit for bit, without its threads.

For many learners of one process, as in virtual time: they share one copy of the data, and a batch costs the
host next to nothing, since many are gathered at once, on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dasr.features.feed import Batch, Feed
from dasr.features.order import Order
from dasr.features.pool import Chunks, Frames, Source, shared_frames

BLOCK_BYTES = 4 << 20  # of frames that are gathered at once, at least one batch


class ResidentFeed(Feed):
    """A Feed on `device`, which must have room for the whole split (float16, 2 bytes a value)."""

    def __init__(self, device: torch.device, *of_feed: Any) -> None:
        """`of_feed`: the arguments of Feed, without `pin`. Raises UserError."""
        super().__init__(*of_feed)
        gatherer = self._gatherer
        self._resident = _Resident(gatherer.source, gatherer.order, gatherer.batch, gatherer.context, device)
        self._batches: Iterator[tuple[Batch, int, int]] | None = None

    def next(self) -> Batch:
        """The next batch, on the device. Its tensors are not changed again."""
        if self._batches is None:
            self._batches = self._resident.batches(self._epoch, self._position)
        batch, self._epoch, self._position = next(self._batches)
        return batch

    def close(self) -> None:
        self._batches = None


@dataclass(frozen=True)
class _Resident:
    """Makes the batches."""

    source: Source
    order: Order
    batch: int
    context: int
    device: torch.device

    def batches(self, epoch: int, position: int) -> Iterator[tuple[Batch, int, int]]:
        """(batch, epoch and own position after it), without end."""
        data = shared_frames(self.source, tuple(range(len(self.source.features))), self.device)
        at_once = self._at_once(data)
        waiting: list[Chunks] = []
        after: list[tuple[int, int]] = []  # of each chunk that waits
        for plan in self.order.pools(epoch, position):
            position = position if plan.epoch == epoch else 0
            epoch = plan.epoch
            rows = [data.tables[part.shard].take(self.order.chunks_of(part, epoch)) for part in plan.slices]
            own = _joined(rows).take(plan.own[plan.skip :])
            waiting.append(own)
            after += [(epoch, position + number) for number in range(1, len(own.start) + 1)]
            position += len(own.start)
            while len(after) >= at_once * self.batch:
                yield from self._gathered(data, waiting, after, at_once)

    def _at_once(self, data: Frames) -> int:
        """Batches in a block; no more than a learner has in an epoch, so that a small corpus is not gathered
        many times over."""
        size = self.batch * (self.source.chunk_frames + 2 * self.context) * data.frames.shape[1] * 2
        epoch = sum(len(table.start) for table in data.tables.values()) // self.order.size
        return max(1, min(BLOCK_BYTES // size, epoch // self.batch))

    def _gathered(
        self, data: Frames, waiting: list[Chunks], after: list[tuple[int, int]], count: int
    ) -> Iterator[tuple[Batch, int, int]]:
        """The next `count` batches of what waits, which is taken out of the lists."""
        chunks, rows = _joined(waiting), count * self.batch
        every = np.arange(len(chunks.start))
        block = self._block(data, chunks.take(every[:rows]))
        ends = after[self.batch - 1 : rows : self.batch]
        waiting[:], after[:] = [chunks.take(every[rows:])], after[rows:]
        parts = zip(*(torch.split(tensor, self.batch) for tensor in block), strict=True)
        for batch, (epoch, position) in zip(parts, ends, strict=True):
            yield Batch(*batch), epoch, position

    def _block(self, data: Frames, chunks: Chunks) -> Batch:
        """As Pool.gather, on the device."""
        table = torch.from_numpy(np.stack(chunks)).to(self.device)
        begin, end, start, fresh = (column[:, None] for column in table[:4])
        length = self.source.chunk_frames
        rows = start + torch.arange(-self.context, length + self.context, device=self.device)
        own = rows[:, self.context : self.context + length]
        index = torch.minimum(torch.maximum(rows, begin), end - 1)
        labels = data.labels[index[:, self.context : self.context + length]]
        labels.masked_fill_((own < fresh) | (own >= end), -1)
        return Batch(data.frames[index], data.mean[table[4]], data.istd[table[4]], labels)


def _joined(parts: list[Chunks]) -> Chunks:
    return Chunks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
