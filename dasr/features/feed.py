"""The feed: from feature shards (and alignments) on disk to batches of shuffled fixed-length chunks, in
constant memory.

One thread reads the next pool of shards while another gathers batches from the present one (see order.py for
who sees what when). Batches go on across pools and epochs: the feed never ends and no batch is short;
an asynchronous learner goes on to its next epoch without waiting for others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.features.ahead import Ahead, leave_openmp_to_learner
from dasr.features.batch_name import BatchName
from dasr.features.order import Order
from dasr.features.pool import Pool, Source

AT_ONCE, AT_ONCE_BYTES = 8, 16 << 20  # batches gathered together, no more than these: see _Gatherer


class Batch(NamedTuple):
    """frames: float16 [batch, chunk + 2 * context, dim], as stored (not normalised), edges repeated beyond an
    utterance; mean, istd: float32 [batch, dim] of each chunk's speaker, so (frames - mean) * istd is
    normalised; labels: int32 [batch, chunk], pdf ids, -1 where a frame must not be counted (0 elsewhere, if
    there are no alignments).
    """

    frames: Tensor
    mean: Tensor
    istd: Tensor
    labels: Tensor


class Feed:
    """Batches of shuffled chunks for learner `rank` of `size`: `next`, `state_dict`, `load_state_dict`,
    `num_chunks`.

    Chunks do not overlap, except that an utterance's last one is shifted back to end where the utterance
    ends; the frames it repeats have label -1, so every frame counts once an epoch. Utterances rejected by
    the alignment are left out. The order depends on (seed, epoch, rank, size, pool_shards) and the shards
    only, so a resumed feed goes on bit for bit. Memory: two pools of shards and a few batches, however large
    the corpus. Tensors are in pinned memory if `pin` (default: when CUDA is there), so that `.to(device,
    non_blocking=True)` overlaps.
    """

    def __init__(
        self,
        feature_shards: list[Path],
        alignment_shards: list[Path] | None,
        chunk_frames: int,
        batch: int,
        rank: int,
        size: int,
        seed: int,
        context: int = 0,
        pool_shards: int = 4,
        pin: bool | None = None,
    ) -> None:
        """`alignment_shards` go with `feature_shards` one to one. Raises UserError for shards that do not
        fit.
        """
        source = Source(feature_shards, alignment_shards, chunk_frames)
        counts, self.dim = source.counts()
        self._order = Order(counts, rank, size, seed, pool_shards)
        self.num_chunks = self.num_samples = int(counts.sum())  # of all learners in one epoch
        self.frames_a_sample = float(chunk_frames)
        self.chunk_frames, self.batch, self.context = chunk_frames, batch, context
        pin = torch.cuda.is_available() if pin is None else pin
        self._gatherer = _Gatherer(source, self._order, chunk_frames, batch, context, self.dim, pin)
        if self.num_chunks < size:
            raise UserError(
                f"{self.num_chunks} chunks of {chunk_frames} frames cannot be shared by {size} learners"
            )
        self._epoch, self._position = 0, 0
        self._ahead: Ahead[tuple[Batch, int, int]] | None = None

    def next(self) -> Batch:
        """The next batch. Raises UserError if a shard turns out to be truncated or corrupt."""
        if self._ahead is None:
            batches = self._gatherer.batches(self._epoch, self._position)
            self._ahead = Ahead(batches, self._gatherer.begin_thread)
        batch, self._epoch, self._position = self._ahead.get()
        return batch

    def describe(self) -> BatchName:
        """Which chunks the last batch held, of which utterances."""
        gatherer = self._gatherer
        return BatchName(gatherer.source, self._order, self.batch, self._epoch, self._position)

    def state_dict(self) -> dict[str, Any]:
        """The position after the last batch that `next` gave, and the order that it is a position in."""
        return {"epoch": self._epoch, "position": self._position, "order": self._identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on as if never stopped. Raises UserError for a position in other data or of another learner."""
        for key, value in self._identity().items():
            if state["order"].get(key) != value:
                was = state["order"].get(key)
                raise UserError(
                    f"the checkpoint's position in the data does not fit: {key} was {was} and is now {value}"
                )
        self.close()
        self._epoch, self._position = int(state["epoch"]), int(state["position"])

    def chunks_in(self, epoch: int) -> int:
        """Chunks that this learner sees in that epoch."""
        return self._order.chunks_in(epoch)

    def close(self) -> None:
        """Stop reading ahead; the position stays, and `next` goes on from there."""
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead = None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # where __init__ raised
            self.close()

    def _identity(self) -> dict[str, int]:
        order = self._order
        numbers = {
            "rank": order.rank,
            "learners": order.size,
            "seed": order.seed,
            "pool_shards": order.pool_shards,
        }
        return {"num_chunks": self.num_chunks, "chunk_frames": self.chunk_frames, **numbers}


@dataclass(frozen=True)
class _Gatherer:
    """Makes the batches. It is apart from Feed so that its thread does not keep a forgotten Feed alive.

    Small ones are gathered several at once: each of some 30 calls may wait for the interpreter, or take it
    from the learner's thread, which launches 100 pieces of work a step."""

    source: Source
    order: Order
    chunk_frames: int
    batch: int
    context: int
    dim: int
    pin: bool

    def begin_thread(self) -> None:
        leave_openmp_to_learner(self.pin)

    def _empty(self) -> Batch:
        """Room for some batches, one after another."""
        size = self.batch * (self.chunk_frames + 2 * self.context) * self.dim * 2
        rows = self.batch * max(1, min(AT_ONCE, AT_ONCE_BYTES // size))

        def tensor(dtype: torch.dtype, *shape: int) -> Tensor:
            return torch.empty(rows, *shape, dtype=dtype, pin_memory=self.pin)

        frames = tensor(torch.float16, self.chunk_frames + 2 * self.context, self.dim)
        mean, istd = (tensor(torch.float32, self.dim) for _ in range(2))
        return Batch(frames, mean, istd, tensor(torch.int32, self.chunk_frames))

    def _pools(self, epoch: int, position: int) -> Iterator[Pool]:
        """Pools in order, the next one read while the present one is in use."""
        plans = self.order.pools(epoch, position)
        with ThreadPoolExecutor(1, "dasr-shards", self.begin_thread) as reader:
            ahead = reader.submit(Pool, self.source, self.order, next(plans), None)
            while True:
                pool = ahead.result()
                ahead = reader.submit(Pool, self.source, self.order, next(plans), pool.data)
                yield pool

    def batches(self, epoch: int, position: int) -> Iterator[tuple[Batch, int, int]]:
        """(batch, epoch and own position after it), without end."""
        room, filled = self._empty(), 0
        after: list[tuple[int, int]] = []  # each batch in it
        for pool in self._pools(epoch, position):
            if pool.plan.epoch != epoch:
                epoch, position = pool.plan.epoch, 0
            first = pool.plan.skip
            while first < len(pool):
                last = min(len(pool), first + len(room.labels) - filled)
                begin, filled = filled, filled + last - first
                pool.gather(first, last, self.context, *(tensor[begin:filled] for tensor in room))
                ends = range(self.batch * (len(after) + 1), filled + 1, self.batch)
                after += [(epoch, position + end - begin) for end in ends]
                position, first = position + last - first, last
                if filled == len(room.labels):
                    parts = zip(*(torch.split(tensor, self.batch) for tensor in room), strict=True)
                    for batch, (in_epoch, at) in zip(parts, after, strict=True):
                        yield Batch(*batch), in_epoch, at
                    room, filled, after = self._empty(), 0, []
