"""Signals between learners of a host: here the stream is the thread; on GPUs, two streams of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.cuda.streams import StreamMemoryOp
from dasr.worlds.peer_memory import signals
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.signals import EXCHANGE, MEETING, Signals
from tests.support.played_memory import Host, together


def test_a_wait_is_for_one_signal_of_its_channel_and_a_put_waits_for_nothing() -> None:
    """The first of two learners puts ten before the second has waited for one, and that one knows which."""

    def life(memory: PeerMemory, rank: int) -> list[float]:
        shared, other = memory.region.symmetric_like(torch.empty(10)), 1 - rank
        everyone = memory.region.everyone(shared)
        if rank == 0:
            for turn in range(10):
                everyone[1][turn] = 1.0 + turn
                memory.region.signals.put([other], EXCHANGE)
            memory.region.signals.wait([other], MEETING)
            return []
        seen = []
        for turn in range(10):
            memory.region.signals.wait([other], EXCHANGE)
            seen.append(float(shared[turn]))
        memory.region.signals.put([other], MEETING)
        return seen

    assert together(range(2), life)[1] == [1.0 + turn for turn in range(10)]


def test_cells_of_learners_and_channels_are_apart() -> None:
    written = list[int]()

    def allocate(length: int, dtype: torch.dtype) -> Any:
        cells = torch.zeros(length, dtype=dtype)

        class Region:  # of three learners, all of them here
            def get_buffer(self, *_: Any) -> Tensor:
                return cells

        return cells, Region()

    def submit_stream_ops(touches: Sequence[StreamMemoryOp]) -> None:
        written.extend(int(one.cell.storage_offset()) for one in touches)

    everyone = [Signals(allocate, 3, own, submit_stream_ops) for own in range(3)]
    for one in everyone:
        for channel in range(signals.CHANNELS):
            one.put([0], channel)
    assert len(set(written)) == 3 * signals.CHANNELS


def test_numbers_wrap_as_the_front_end_compares_them() -> None:
    given = list[int]()
    one = Signals(Host(1).allocator(0), 1, 0, lambda touches: given.extend(t.number for t in touches))
    one._out[0][EXCHANGE].number = 2**32 - 2
    for _ in range(3):
        one.put([0], EXCHANGE)
    assert given == [2**32 - 1, 0, 1]


def test_learners_that_meet_write_to_all_before_they_wait_for_any() -> None:
    waits = list[bool]()
    one = Signals(Host(1).allocator(0), 1, 0, lambda touches: waits.extend(t.waits for t in touches))
    one.meet([0, 0], EXCHANGE)
    assert waits == [False, False, True, True]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_stream_of_a_gpu_waits_for_another() -> None:
    def allocate(length: int, dtype: torch.dtype) -> Any:
        cells = torch.zeros(length, dtype=dtype, device="cuda")
        torch.cuda.synchronize()

        class Region:
            def get_buffer(self, *_: Any) -> Tensor:
                return cells

        return cells, Region()

    own, vector = Signals(allocate, 1, 0), torch.zeros(1 << 20, device="cuda")
    sender, receiver = torch.cuda.Stream(), torch.cuda.Stream()
    torch.cuda.synchronize()
    seen = []
    # A wait is launched after its put: a kernel that is new to CUDA may wait for all that is under way
    for turn in range(50):
        with torch.cuda.stream(sender):
            if turn:
                own.wait([0], MEETING)
            torch.cuda._sleep(1_000_000)
            vector.fill_(turn)
            own.put([0], EXCHANGE)
        with torch.cuda.stream(receiver):
            own.wait([0], EXCHANGE)
            seen.append(vector.mean())
            own.put([0], MEETING)
    torch.cuda.synchronize()
    assert [float(value) for value in seen] == [float(turn) for turn in range(50)]
