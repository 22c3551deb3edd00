"""Symmetric memory of the learners of one host: their vectors, and room for what arrives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dasr.cuda import streams
from dasr.worlds.interface import RollCall
from dasr.worlds.peer_memory.signals import Signals
from dasr.worlds.peer_memory.symmetric import Allocate


class PeerRegion:
    """The symmetric memory of learner `rank`, with its signals and streams."""

    def __init__(self, allocate: Allocate, ranks: Sequence[int], rank: int, signals: Signals):
        """`ranks`: the learners of this host, ascending."""
        self.allocate, self.ranks, self.rank, self.signals = allocate, tuple(ranks), rank, signals
        self.replaced: set[int] = set()  # learners whose first process is gone, and its memory with it
        self._shared: list[tuple[Tensor, list[Tensor]]] = []  # a vector here, and those of all learners
        self.side_stream = streams.Streams()

    def symmetric_like(self, like: Tensor) -> Tensor:
        """Zeros like it (flat), in symmetric memory."""
        if not self._shared:
            # For each learner: where its slices come to be added up, and two windows. Room for float32.
            length = (like.numel() // 64 + 1) * 64
            self.window_bytes = max(4, like.element_size()) * length
            self._room, self.region = self.allocate(3 * len(self.ranks) * self.window_bytes, torch.uint8)
        vector, region = self.allocate(like.numel(), like.dtype)
        everyone = [region.get_buffer(place, like.shape, like.dtype) for place in range(len(self.ranks))]
        self._shared.append((vector, everyone))
        return vector

    def note_replacements(self, call: RollCall) -> None:
        """Learners whose process was replaced have no memory here. All learn of it at the same roll call."""
        members = zip(call.members, call.incarnations, strict=False)
        self.replaced = {rank for rank, incarnation in members if incarnation > 1}

    def everyone(self, vector: Tensor) -> list[Tensor]:
        """The same vector on every learner of the host."""
        return self.place(vector)[0]

    def staged(self, place: int, source: int, offset: int, like: Tensor) -> Tensor:
        """Where the learner at `place` finds the slice of the one at `source` that it is to add up."""
        begin = 3 * source * self.window_bytes
        return self.at(place, begin + offset * like.element_size(), like)

    def at(self, place: int, begin: int, like: Tensor) -> Tensor:
        size = like.element_size()
        return self.region.get_buffer(place, like.shape, like.dtype, begin // size)

    def holds(self, target: Tensor) -> bool:
        """Whether it is, or is part of, a vector in symmetric memory."""
        return self._find(target) is not None

    def place(self, target: Tensor) -> tuple[list[Tensor], int]:
        """(The vector that `target` is a part of, on every learner; the offset of `target` in it)."""
        found = self._find(target)
        assert found is not None, "ask holds() first"
        return found

    def _find(self, target: Tensor) -> tuple[list[Tensor], int] | None:
        for vector, everyone in self._shared:
            offset = target.data_ptr() - vector.data_ptr()
            if 0 <= offset < vector.nbytes and target.dtype == vector.dtype and target.is_contiguous():
                return everyone, offset // vector.element_size()
        return None


def cut_into(length: int, count: int) -> list[slice]:
    """`length` numbers in `count` parts that begin at multiples of 64."""
    each = -(-length // count // 64) * 64 if length > 64 * count else -(-length // count)
    return [slice(min(length, i * each), min(length, (i + 1) * each)) for i in range(count)]
