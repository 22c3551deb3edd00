"""Communication of learners whose GPUs are in one host: they write into each other's GPU memory.

Copies run on the copy engines, so that they take no multiprocessor from the gradient's kernels. A signal
follows each copy on its stream, and a stream of the receiver waits for it: no thread waits, and no kernel.

    all-reduce      slice s of each learner -> learner s, which sums slice s and copies it to all
    exchange        payload -> one of two buffers in the partner's memory, in turn
    sharded update  as an all-reduce, with an optimizer step between its two halves

The memory is PyTorch's symmetric memory, without NVLink's multicast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dasr.cuda import streams
from dasr.cuda.streams import record_event, wait_for
from dasr.worlds.interface import RollCall
from dasr.worlds.peer_memory.exchange import ExchangeBuffers
from dasr.worlds.peer_memory.sharded_update import PeerShardedUpdate, cut_into
from dasr.worlds.peer_memory.signals import GATHER, SCATTER, Signals
from dasr.worlds.peer_memory.symmetric import Allocate


@dataclass(frozen=True)
class _Plan:
    """The copies of one all-reduce, made once and used at each step. `peer`: a place on the host."""

    mine: Tensor  # this learner's part of the slice that it sums
    result: Tensor  # the place of the sum
    leaving: list[tuple[int, Tensor, Tensor]]  # (peer, its slice here, where it goes)
    arriving: list[Tensor]  # others' parts of this learner's slice
    returning: list[tuple[int, Tensor]]  # (peer, where it wants the result)


class PeerMemory:
    """The symmetric memory of learner `rank`, and what is done with it."""

    def __init__(
        self,
        allocate: Allocate,
        ranks: Sequence[int],
        rank: int,
        signals: Signals,
    ):
        """`ranks`: the learners of this host, ascending."""
        self.allocate, self.ranks, self.rank, self.signals = allocate, tuple(ranks), rank, signals
        self.replaced: set[int] = set()  # learners whose first process is gone, and its memory with it
        self._shared: list[tuple[Tensor, list[Tensor]]] = []  # a vector here, and those of all learners
        self._plans: dict[Any, _Plan] = {}
        self.buffers = ExchangeBuffers(self)
        self._sharded_updates: dict[Any, PeerShardedUpdate] = {}
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
        lives = zip(call.members, call.lives, strict=False)
        self.replaced = {rank for rank, life in lives if life > 1}

    def can_reduce(self, target: Tensor, members: Sequence[int]) -> bool:
        """Whether all_reduce() can: all members are on this host, and the target is in symmetric memory."""
        here = len(members) > 1 and all(rank in self.ranks for rank in members)
        return here and self._place(target) is not None

    def all_reduce(
        self, buffer: Tensor, members: Sequence[int], op: str, out: Tensor | None = None
    ) -> Callable[[], Tensor]:
        """Start. Returns a function that makes the stream, not the thread, wait, and returns the result."""
        target = buffer if out is None else out
        key = (buffer.data_ptr(), target.data_ptr(), len(target), target.dtype, tuple(members))
        if key not in self._plans:
            self._plans[key] = self._plan(buffer, target, tuple(members))
        plan, signals = self._plans[key], self.signals
        others = [peer for peer, _ in plan.returning]
        # Two streams: the next part's slices leave while this one's are waited for.
        with self.side_stream("scatter", buffer.device):
            for peer, part, there in plan.leaving:
                there.copy_(part, non_blocking=True)
                signals.put([peer], SCATTER)
            left = record_event(buffer)
        with self.side_stream("gather", buffer.device):
            signals.wait(others, SCATTER)
            _add_up(plan.result, plan.mine, plan.arriving, op)
            for peer, there in plan.returning:
                there.copy_(plan.result, non_blocking=True)
                signals.put([peer], GATHER)
            signals.wait(others, GATHER)
            done = record_event(buffer)

        def finish() -> Tensor:
            wait_for(left)
            wait_for(done)
            return target

        return finish

    def _plan(self, buffer: Tensor, target: Tensor, members: tuple[int, ...]) -> _Plan:
        """Slices are staged at their offset in the vector, so that concurrent all-reduces of different parts
        of one vector do not overlap."""
        place = self._place(target)
        assert place is not None
        everyone, offset = place
        slices = dict(zip(members, cut_into(len(target), len(members)), strict=True))
        own, mine = self.ranks.index(self.rank), slices[self.rank]
        others = [(rank, self.ranks.index(rank)) for rank in members if rank != self.rank]
        leaving = [
            (peer, part := buffer[slices[rank]], self.staged(peer, own, offset + slices[rank].start, part))
            for rank, peer in others
        ]
        arriving = [self.staged(own, peer, offset + mine.start, buffer[mine]) for _, peer in others]
        returning = [(peer, everyone[peer][offset + mine.start : offset + mine.stop]) for _, peer in others]
        return _Plan(buffer[mine], target[mine], leaving, arriving, returning)

    def sharded_update(
        self, vector: Tensor, target: Tensor, members: tuple[int, ...]
    ) -> PeerShardedUpdate | None:
        """For an update of `target` with the gradients `vector`; None where they are not shared vectors, or
        not all members are of this host. All of them come to the same answer."""
        if not self.can_reduce(vector, members) or self._place(target) is None:
            return None
        key = (vector.data_ptr(), target.data_ptr(), members)
        if key not in self._sharded_updates:
            self._sharded_updates[key] = PeerShardedUpdate(self, vector, target, members)
        return self._sharded_updates[key]

    def everyone(self, vector: Tensor) -> list[Tensor]:
        """The same vector on every learner of the host."""
        place = self._place(vector)
        assert place is not None
        return place[0]

    def staged(self, place: int, source: int, offset: int, like: Tensor) -> Tensor:
        """Where the learner at `place` finds the slice of the one at `source` that it is to add up."""
        begin = 3 * source * self.window_bytes
        return self.at(place, begin + offset * like.element_size(), like)

    def at(self, place: int, begin: int, like: Tensor) -> Tensor:
        size = like.element_size()
        return self.region.get_buffer(place, like.shape, like.dtype, begin // size)

    def _place(self, target: Tensor) -> tuple[list[Tensor], int] | None:
        """(that shared vector on every learner, offset of `target` in it), or None."""
        for vector, everyone in self._shared:
            offset = target.data_ptr() - vector.data_ptr()
            if 0 <= offset < vector.nbytes and target.dtype == vector.dtype and target.is_contiguous():
                return everyone, offset // vector.element_size()
        return None


def _add_up(target: Tensor, mine: Tensor, arrived: list[Tensor], op: str) -> None:
    """target <- mine + all that arrived, or their mean."""
    if op == "mean" and len(arrived) == 1:
        torch.lerp(mine, arrived[0], 0.5, out=target)
        return
    torch.add(mine, arrived[0], out=target)
    for vector in arrived[1:]:
        target.add_(vector)
    if op == "mean":
        target.div_(1 + len(arrived))
