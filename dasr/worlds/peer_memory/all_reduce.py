"""All-reduces of learners whose GPUs are in one host: slice s of each learner goes to learner s, which sums
slice s and copies it to all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dasr.cuda.streams import record_event, wait_for
from dasr.worlds.peer_memory.region import PeerRegion, cut_into
from dasr.worlds.peer_memory.signals import GATHER, SCATTER


@dataclass(frozen=True)
class _Plan:
    """The copies of one all-reduce, made once and used at each step. `peer`: a place on the host."""

    mine: Tensor  # this learner's part of the slice that it sums
    result: Tensor  # the place of the sum
    leaving: list[tuple[int, Tensor, Tensor]]  # (peer, its slice here, where it goes)
    arriving: list[Tensor]  # others' parts of this learner's slice
    returning: list[tuple[int, Tensor]]  # (peer, where it wants the result)


class PeerAllReduce:
    """Sums and means of vectors that are in symmetric memory, or whose result is."""

    def __init__(self, region: PeerRegion):
        self.region = region
        self._plans: dict[Any, _Plan] = {}

    def start(
        self, buffer: Tensor, members: Sequence[int], op: str, out: Tensor | None = None
    ) -> Callable[[], Tensor]:
        """Returns a function that makes the stream, not the thread, wait, and returns the result."""
        target = buffer if out is None else out
        key = (buffer.data_ptr(), target.data_ptr(), len(target), target.dtype, tuple(members))
        if key not in self._plans:
            self._plans[key] = self._plan(buffer, target, tuple(members))
        region, plan = self.region, self._plans[key]
        others = [peer for peer, _ in plan.returning]
        # Two streams: the next part's slices leave while this one's are waited for.
        with region.side_stream("scatter", buffer.device):
            for peer, part, there in plan.leaving:
                there.copy_(part, non_blocking=True)
                region.signals.put([peer], SCATTER)
            left = record_event(buffer)
        with region.side_stream("gather", buffer.device):
            region.signals.wait(others, SCATTER)
            _add_up(plan.result, plan.mine, plan.arriving, op)
            for peer, there in plan.returning:
                there.copy_(plan.result, non_blocking=True)
                region.signals.put([peer], GATHER)
            region.signals.wait(others, GATHER)
            done = record_event(buffer)

        def finish() -> Tensor:
            wait_for(left)
            wait_for(done)
            return target

        return finish

    def _plan(self, buffer: Tensor, target: Tensor, members: tuple[int, ...]) -> _Plan:
        """Slices are staged at their offset in the vector, so that concurrent all-reduces of different parts
        of one vector do not overlap."""
        region = self.region
        everyone, offset = region.place(target)
        slices = dict(zip(members, cut_into(len(target), len(members)), strict=True))
        own, mine = region.ranks.index(region.rank), slices[region.rank]
        others = [(rank, region.ranks.index(rank)) for rank in members if rank != region.rank]
        leaving = [
            (peer, part := buffer[slices[rank]], region.staged(peer, own, offset + slices[rank].start, part))
            for rank, peer in others
        ]
        arriving = [region.staged(own, peer, offset + mine.start, buffer[mine]) for _, peer in others]
        returning = [(peer, everyone[peer][offset + mine.start : offset + mine.stop]) for _, peer in others]
        return _Plan(buffer[mine], target[mine], leaving, arriving, returning)


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
