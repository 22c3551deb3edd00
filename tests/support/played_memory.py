"""Memory that GPUs of a host share, played on threads and plain memory: the real one needs GPUs. What a
learner's streams would do, its thread does."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dasr.cuda.streams import StreamMemoryOp
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.region import PeerRegion
from dasr.worlds.peer_memory.signals import Signals

TIMEOUT_S = 20.0


class Host:
    """Regions of learners that are threads, and what their streams write there and wait for."""

    def __init__(self, learners: int):
        self.learners = learners
        self.changed = threading.Condition()
        self.vectors: dict[tuple[int, int], Tensor] = {}  # (number of the region, learner)
        self.made = [0] * learners

    def allocator(self, place: int) -> Callable[[int, torch.dtype], tuple[Tensor, PlayedRegion]]:
        def allocate(length: int, dtype: torch.dtype) -> tuple[Tensor, PlayedRegion]:
            number = self.made[place]
            self.made[place] += 1
            vector = torch.zeros(length, dtype=dtype)
            with self.changed:
                self.vectors[number, place] = vector
                self.changed.notify_all()
                everybody = [(number, other) for other in range(self.learners)]
                assert self.changed.wait_for(lambda: all(k in self.vectors for k in everybody), TIMEOUT_S)
            return vector, PlayedRegion(self, number, place)

        return allocate

    def submit_stream_ops(self, touches: Sequence[StreamMemoryOp]) -> None:
        for one in touches:
            with self.changed:
                if one.waits:
                    come = functools.partial(_has_come, one)
                    assert self.changed.wait_for(come, TIMEOUT_S), one.number
                else:
                    one.cell.fill_(one.number)
                    self.changed.notify_all()


def _has_come(one: StreamMemoryOp) -> bool:
    return int(one.cell) >= one.number


class PlayedRegion:
    def __init__(self, host: Host, number: int, place: int):
        self.host, self.number, self.place = host, number, place

    def get_buffer(self, rank: int, sizes: Any, dtype: torch.dtype, storage_offset: int = 0) -> Tensor:
        flat = self.host.vectors[self.number, rank].view(torch.uint8).view(dtype)
        return flat[storage_offset : storage_offset + torch.Size(sizes).numel()].view(sizes)


def together(ranks: Sequence[int], life: Callable[[PeerMemory, int], Any]) -> list[Any]:
    """What `life(memory, rank)` gives on each learner, all at once."""
    host, results = Host(len(ranks)), dict[int, Any]()

    def live(place: int) -> None:
        rank = ranks[place]
        allocate = host.allocator(place)
        signals = Signals(allocate, len(ranks), place, host.submit_stream_ops)
        memory = PeerMemory(PeerRegion(allocate, ranks, rank, signals))
        results[place] = life(memory, rank)

    threads = [threading.Thread(target=live, args=(place,)) for place in range(len(ranks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT_S)
    assert len(results) == len(ranks), "a learner failed or waits for ever"
    return [results[place] for place in range(len(ranks))]


def numbers(rank: int, length: int, turn: int = 0) -> Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(100 * turn + rank))
