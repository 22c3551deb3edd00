"""Two learners whose GPUs are in one host send each other a vector while it is being made.

A copy of each part and two signals in all: none adds up anything for the other, and the other's numbers are
there when this learner comes to read its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor

from dasr.worlds.on_device import marked, wait_for

if TYPE_CHECKING:
    from dasr.worlds.peer_memory import PeerMemory


class Pair:
    """A vector of this learner and that of another, `there` a window in its memory."""

    def __init__(
        self,
        memory: PeerMemory,
        vector: Tensor,
        there: Tensor,
        everyone: list[Tensor],
        peer: int,
        channels: tuple[int, int],
    ):
        """`everyone`: both vectors in the order of their ranks; `peer`: its place on the host."""
        self.memory, self.vector, self.there, self.everyone, self.peer = memory, vector, there, everyone, peer
        self.channels, self.count = channels, 0

    def send(self, part: slice) -> int:
        """Start sending that part; bytes."""
        part_here = self.vector[part]
        with self.memory.beside("scatter", part_here):
            self.there[part].copy_(part_here, non_blocking=True)
        return part_here.nbytes

    def sent(self) -> Callable[[], list[Tensor]]:
        """What waits (the stream, not the thread) for all that both have sent until now.

        Two at most are not waited for at a time: a third signal would wait on the GPU for what is not even
        launched, and meanwhile no kernel can be loaded that was not used before."""
        memory, channel = self.memory, self.channels[self.count % 2]
        self.count += 1
        with memory.beside("scatter", self.vector, after=False):
            memory.region.put_signal(self.peer, channel, memory.timeout_ms)
            left = marked(self.vector)

        def finish() -> list[Tensor]:
            wait_for(left)
            memory.region.wait_signal(self.peer, channel, memory.timeout_ms)
            return self.everyone

        return finish
