"""Several whole shards in memory, and the gathering of chunks from them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasr.errors import UserError
from dasr.features.labels import read_labels, rejected_in
from dasr.features.order import Order, PoolPlan
from dasr.features.store import Shard

Ints = NDArray[np.int64]
CPU = torch.device("cpu")


class Chunks(NamedTuple):
    """A table of chunks, one row each, int64: utterance's begin and end, the chunk's first frame, its first
    frame that no chunk before it has (the last chunk of an utterance is shifted back), speaker.
    """

    begin: Ints
    end: Ints
    start: Ints
    fresh: Ints
    speaker: Ints

    def take(self, rows: Ints, base: int = 0, speaker_base: int = 0) -> Chunks:
        """Those rows, frames and speakers counted from another base."""
        begin, end, start, fresh = (column[rows] + base for column in self[:4])
        return Chunks(begin, end, start, fresh, self.speaker[rows] + speaker_base)


def chunk_table(
    offsets: Ints, speaker_of: NDArray[np.int32], used: NDArray[np.bool_], chunk_frames: int
) -> Chunks:
    """All chunks of a shard in order; used: bool [num_utts], False for utterances that are left out."""
    lengths = np.where(used, np.diff(offsets), 0)
    counts = -(-lengths // chunk_frames)
    utterance = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(utterance)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin, end = offsets[utterance], offsets[utterance + 1]
    fresh = begin + number * chunk_frames
    start = np.maximum(begin, np.minimum(fresh, end - chunk_frames))
    return Chunks(begin, end, start, fresh, speaker_of[utterance].astype(np.int64))


@dataclass(frozen=True)
class Source:
    """The shards on disk, each a feature shard and perhaps its alignment."""

    features: Sequence[Path]
    alignments: Sequence[Path] | None
    chunk_frames: int

    def __post_init__(self) -> None:
        if not self.features:
            raise UserError("no feature shards were given")
        if self.alignments is not None and len(self.alignments) != len(self.features):
            raise UserError(
                f"{len(self.features)} feature shards, but {len(self.alignments)} alignment shards"
            )

    def table(self, index: int, shard: Shard) -> Chunks:
        """The chunk table of one shard, without the utterances that the alignment rejected."""
        rejected = rejected_in(self.alignments[index]) if self.alignments is not None else set()
        used = np.array([name not in rejected for name in shard.utterances], bool)
        return chunk_table(shard.offsets, shard.speaker_of, used, self.chunk_frames)

    def counts(self) -> tuple[Ints, int]:
        """(chunks in each shard, int64 [num_shards]; dim). Opens every shard once. Raises UserError."""
        counts, dims = [], set()
        for index, folder in enumerate(self.features):
            shard = Shard.open(folder)
            dims.add(shard.dim)
            counts.append(len(self.table(index, shard).start))
            if len(dims) > 1:
                raise UserError(
                    f"{folder} has {shard.dim} dimensions, the shards before it {min(dims - {shard.dim})}"
                )
        return np.array(counts, np.int64), dims.pop()

    def labels(self, index: int, shard: Shard) -> Tensor:
        """int32 [num_frames] of one shard; zeros if there are no alignments. Raises UserError if they do not
        fit.
        """
        if self.alignments is None:
            return torch.zeros(shard.num_frames, dtype=torch.int32)
        return torch.from_numpy(read_labels(self.alignments[index], shard))


@dataclass(frozen=True, eq=False)
class Frames:
    """The concatenated shards of a pool, in order of their index. Never changed, so learners of a process
    share it.
    """

    shards: tuple[int, ...]
    frames: Tensor  # float16 [num_frames, dim]
    labels: Tensor  # int32 [num_frames]
    mean: Tensor  # float32 [num_speakers, dim]
    istd: Tensor
    tables: dict[int, Chunks]  # in frames and speakers of the pool

    def to(self, device: torch.device) -> Frames:
        """The same, with the tensors on that device."""
        frames, labels, mean, istd = (
            tensor.to(device) for tensor in (self.frames, self.labels, self.mean, self.istd)
        )
        return Frames(self.shards, frames, labels, mean, istd, self.tables)


def read_frames(source: Source, shards: tuple[int, ...]) -> Frames:
    """Read whole shards from disk. Raises UserError if one is truncated or corrupt."""
    opened = [Shard.open(source.features[index]) for index in shards]
    total = sum(shard.num_frames for shard in opened)
    frames = torch.empty(total, opened[0].dim, dtype=torch.float16)
    labels = torch.empty(total, dtype=torch.int32)
    tables, base, speakers = {}, 0, 0
    for index, shard in zip(shards, opened, strict=True):
        frames[base : base + shard.num_frames] = torch.from_numpy(shard.read_frames())
        labels[base : base + shard.num_frames] = source.labels(index, shard)
        table = source.table(index, shard)
        tables[index] = table.take(np.arange(len(table.start)), base, speakers)
        base, speakers = base + shard.num_frames, speakers + len(shard.speakers)
    mean, istd = (
        torch.from_numpy(np.concatenate([getattr(s, name) for s in opened]))
        for name in ("speaker_mean", "speaker_istd")
    )
    return Frames(shards, frames, labels, mean, istd, tables)


_shared: WeakValueDictionary[tuple[Any, ...], Frames] = WeakValueDictionary()
_reading = threading.Lock()


def shared_frames(source: Source, shards: tuple[int, ...], device: torch.device = CPU) -> Frames:
    """`read_frames`, once for all feeds of this process (a simulation has one a learner) that use the same
    shards on that device now.
    """
    folders = [Path(group[i]) for group in (source.features, source.alignments) if group for i in shards]
    manifests = [folder / "manifest.json" for folder in folders]
    key = (
        str(device),
        source.chunk_frames,
        shards,
        *((str(m), m.stat().st_mtime_ns) for m in manifests if m.exists()),
    )
    with _reading:
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = read_frames(source, shards).to(device)
        return found


class Pool:
    """A pool's frames with this learner's chunks of it in their order."""

    def __init__(self, source: Source, order: Order, plan: PoolPlan, before: Frames | None) -> None:
        """Read the plan's shards, or reuse `before` if it holds just these (a corpus of one pool is read
        once).
        """
        shards = tuple(sorted(part.shard for part in plan.slices))
        self.data = (
            before if before is not None and before.shards == shards else shared_frames(source, shards)
        )
        rows = [self.data.tables[part.shard].take(order.chunks_of(part, plan.epoch)) for part in plan.slices]
        self.chunks = Chunks(*(np.concatenate(columns)[plan.own] for columns in zip(*rows, strict=True)))
        self.plan = plan

    def __len__(self) -> int:
        return len(self.chunks.start)

    def gather(
        self, first: int, last: int, context: int, frames: Tensor, mean: Tensor, istd: Tensor, labels: Tensor
    ) -> None:
        """Fill tensors (of Batch's shapes) with this learner's chunks `first` to `last`."""
        begin, end, start, fresh = (column[first:last, None] for column in self.chunks[:4])
        rows = start + np.arange(-context, labels.shape[1] + context)
        own = rows[:, context : rows.shape[1] - context]
        unseen = torch.from_numpy((own < fresh) | (own >= end))
        index = torch.from_numpy(np.clip(rows, begin, end - 1))
        torch.index_select(self.data.frames, 0, index.reshape(-1), out=frames.view(-1, frames.shape[2]))
        within = index[:, context : rows.shape[1] - context].reshape(-1)
        torch.index_select(self.data.labels, 0, within, out=labels.view(-1))
        labels.masked_fill_(unseen, -1)
        speaker = torch.from_numpy(self.chunks.speaker[first:last])
        torch.index_select(self.data.mean, 0, speaker, out=mean)
        torch.index_select(self.data.istd, 0, speaker, out=istd)
