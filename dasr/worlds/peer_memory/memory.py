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
from typing import Any

from torch import Tensor

from dasr.worlds.peer_memory.all_reduce import PeerAllReduce
from dasr.worlds.peer_memory.exchange import ExchangeBuffers
from dasr.worlds.peer_memory.region import PeerRegion
from dasr.worlds.peer_memory.sharded_update import PeerShardedUpdate


class PeerMemory:
    """What one learner does in the memory of its host's GPUs."""

    def __init__(self, region: PeerRegion):
        self.region = region
        self.buffers = ExchangeBuffers(region)
        self.reductions = PeerAllReduce(region)
        self._sharded_updates: dict[Any, PeerShardedUpdate] = {}

    def can_reduce(self, target: Tensor, members: Sequence[int]) -> bool:
        """Whether all_reduce() can: all members are on this host, and the target is in symmetric memory."""
        here = len(members) > 1 and all(rank in self.region.ranks for rank in members)
        return here and self.region.holds(target)

    def all_reduce(
        self, buffer: Tensor, members: Sequence[int], op: str, out: Tensor | None = None
    ) -> Callable[[], Tensor]:
        """Start. Returns a function that makes the stream, not the thread, wait, and returns the result."""
        return self.reductions.start(buffer, members, op, out)

    def sharded_update(
        self, vector: Tensor, target: Tensor, members: tuple[int, ...]
    ) -> PeerShardedUpdate | None:
        """For an update of `target` with the gradients `vector`; None where they are not shared vectors, or
        not all members are of this host. All of them come to the same answer."""
        if not self.can_reduce(vector, members) or not self.region.holds(target):
            return None
        key = (vector.data_ptr(), target.data_ptr(), members)
        if key not in self._sharded_updates:
            self._sharded_updates[key] = PeerShardedUpdate(self.region, vector, target, members)
        return self._sharded_updates[key]
