"""Signals between the streams of learners whose GPUs are in one host.

They are counters in each other's memory that the GPUs' front ends write and compare (CUDA's stream memory
operations). A signal that is a kernel takes a place among those of the gradient, or waits for one: 10 us of
each exchange at 4 ms a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from dasr.cuda.streams import StreamMemoryOp, submit_stream_ops
from dasr.worlds.peer_memory.symmetric import Allocate

CHANNELS = 6
MEETING, SCATTER, GATHER, GRADIENTS, RESULTS, EXCHANGE = range(CHANNELS)
WRAP = 2**32  # front ends compare modulo this


class Signals:
    """From this learner's current stream to another's. Learners are named by their places on the host.

    A wait is for one signal of its channel, in the order of putting; a put waits for nothing."""

    def __init__(
        self,
        allocate: Allocate,
        places: int,
        own: int,
        submit_stream_ops: Callable[[Sequence[StreamMemoryOp]], None] = submit_stream_ops,
    ):
        """All learners of the host make theirs together. Raises RuntimeError."""
        size = CHANNELS * places
        self._cells, region = allocate(size, torch.int32)
        everyone = [region.get_buffer(place, (size,), torch.int32) for place in range(places)]
        mine = range(CHANNELS * own, CHANNELS * (own + 1))  # of each other's memory
        self._out = [[StreamMemoryOp(cells[index], waits=False) for index in mine] for cells in everyone]
        self._in = [
            [StreamMemoryOp(cell, waits=True) for cell in cells]
            for cells in self._cells.view(places, CHANNELS)
        ]
        self._touch = submit_stream_ops

    def put(self, places: Sequence[int], channel: int) -> None:
        """What was on the stream before is there when the other ends have waited for this."""
        self._touch([_next(self._out[place][channel]) for place in places])

    def wait(self, places: Sequence[int], channel: int) -> None:
        """What comes on the stream waits for all of them."""
        self._touch([_next(self._in[place][channel]) for place in places])

    def meet(self, places: Sequence[int], channel: int) -> None:
        """put() and wait(). What comes after this (on the stream) comes after what all these had before."""
        self._touch([_next(cells[place][channel]) for cells in (self._out, self._in) for place in places])


def _next(one: StreamMemoryOp) -> StreamMemoryOp:
    one.number = (one.number + 1) % WRAP
    return one
