"""Signals between the streams of learners whose GPUs are in one host.

They are counters in each other's memory that the GPUs' front ends write and compare (CUDA's stream memory
operations). A signal that is a kernel takes a place among those of the gradient, or waits for one: 10 us of
each exchange at 4 ms a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from dasr.worlds import on_device
from dasr.worlds.region import Allocate

CHANNELS = 6
MEETING, SCATTER, GATHER, GRADIENTS, RESULTS, EXCHANGE = range(CHANNELS)
WRAP = 2**32  # front ends compare modulo this

Touch = Callable[[Tensor, int], None]


class Signals:
    """From this learner's current stream to another's. Learners are named by their places on the host.

    A wait is for one signal of its channel, in the order of putting; a put waits for nothing."""

    def __init__(
        self,
        allocate: Allocate,
        places: int,
        own: int,
        write: Touch = on_device.write,
        wait: Touch = on_device.wait_until,
    ):
        """All learners of the host make theirs together. `write` and `wait` are given a cell and a number.
        Raises RuntimeError."""
        size = CHANNELS * places
        self._cells, region = allocate(size, torch.int32)
        everyone = [region.get_buffer(place, (size,), torch.int32) for place in range(places)]
        mine = range(CHANNELS * own, CHANNELS * (own + 1))  # of each other's memory
        self._out = [[cells[index] for index in mine] for cells in everyone]
        self._in = [list(cells) for cells in self._cells.view(places, CHANNELS)]
        self._put: Counter[tuple[int, int]] = Counter()
        self._heard: Counter[tuple[int, int]] = Counter()
        self._write, self._wait = write, wait

    def put(self, place: int, channel: int) -> None:
        """What was on the stream before is there when the other end has waited for this."""
        self._put[place, channel] += 1
        self._write(self._out[place][channel], self._put[place, channel] % WRAP)

    def wait(self, place: int, channel: int) -> None:
        """What comes on the stream waits."""
        self._heard[place, channel] += 1
        self._wait(self._in[place][channel], self._heard[place, channel] % WRAP)
