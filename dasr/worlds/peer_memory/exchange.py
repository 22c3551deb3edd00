"""What learners whose GPUs are in one host send each other: it comes to lie in a window in the partner's
memory, one of two in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dasr.cuda.streams import record_event, wait_for
from dasr.worlds.interface import Payload, Ready
from dasr.worlds.peer_memory.signals import EXCHANGE

if TYPE_CHECKING:
    from dasr.worlds.peer_memory.region import PeerMemory

ALIGNED = 16  # bytes: where parts begin
START_AFTER_ONE_IN = 3  # exchanges begin when one in so many of a gradient's parts, its first, are under way


@dataclass
class _Exchange:
    payload: Payload
    peer: int
    place: int  # of the peer on the host
    turn: int
    sent: torch.cuda.Event | None = None
    arrived: torch.cuda.Event | None = None


class ExchangeBuffers:
    """Two windows for each other learner of the host, here and in its memory.

    One exchange with a partner is under way at a time. Who has what it sent in one has seen it begin that,
    so it has read what came in the one before, and the next but one may go into that window."""

    def __init__(self, memory: PeerMemory):
        self.memory = memory
        self._turns: dict[int, int] = {}  # exchanges with each partner
        self._under_way: set[int] = set()  # partners
        self._waiting: list[_Exchange] = []  # those that have not been started
        self._claimed_by: str | None = None  # the first activity that exchanged: only it may use the buffers
        self._parts = 0  # that the last gradient was told in

    def can_exchange(self, payload: Payload, peer: int, activity: str) -> bool:
        """Whether that activity can put the payload into the partner's buffer. Both ends come to the same
        answer."""
        memory = self.memory
        if peer not in memory.ranks or peer in memory.replaced or not all(part.is_cuda for part in payload):
            return False
        if peer in self._under_way:
            return False
        return self._claimed_by in (None, activity) and _size(payload) <= memory.window_bytes

    def claim_for(self, activity: str) -> None:
        """From the first exchange on, the buffers belong to the activity that made it."""
        self._claimed_by = activity

    def exchange(self, payload: Payload, peer: int) -> Callable[[], Payload]:
        """Start (see begin); what it gives waits (the stream, not the thread) and gives the partner's."""
        coming = _Exchange(payload, peer, self.memory.ranks.index(peer), self._turn(peer))
        self._waiting.append(coming)
        self._under_way.add(peer)

        def finish() -> Payload:
            self.begin()
            self._under_way.discard(peer)
            wait_for(coming.sent)
            wait_for(coming.arrived)
            return self.window(payload, peer, coming.turn)

        return finish

    def begin(self) -> None:
        """Start the exchanges that were asked for. It is called when one of them is waited for, or in the
        midst of a gradient: copies delay the many short kernels of its forward pass more than others."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        beside, signals = self.memory.side_stream, self.memory.signals
        first = waiting[0].payload[0]
        with beside("exchange", first.device):
            for each in waiting:
                self._put(each.payload, each.peer, each.turn)
                signals.put([each.place], EXCHANGE)
                each.sent = record_event(first)
        with beside("arrivals", first.device):
            for each in waiting:
                signals.wait([each.place], EXCHANGE)
                each.arrived = record_event(first)

    def start_during_backward(self, ready: Ready) -> Ready:
        """Calls begin() in the midst of a gradient, before one of its slices is told."""
        if not self._waiting:
            return ready
        last, self._parts = self._parts, 0

        def told(part: Tensor) -> None:
            if self._parts == last // START_AFTER_ONE_IN:
                self.begin()
            self._parts += 1
            ready(part)

        return told

    def push(self, payload: Payload, peer: int) -> int:
        """Copy into the partner's window, to the end; which of the two it was."""
        turn = self._turn(peer)
        self._put(payload, peer, turn)
        event = record_event(payload[0])
        if event is not None:
            event.synchronize()
        return turn

    def _turn(self, peer: int) -> int:
        turn = self._turns.get(peer, 0)
        self._turns[peer] = 1 - turn
        return turn

    def _put(self, payload: Payload, peer: int, turn: int) -> None:
        there = self._views(payload, self.memory.ranks.index(peer), self.memory.rank, turn)
        for target, part in zip(there, payload, strict=True):
            target.copy_(part, non_blocking=True)

    def window(self, like: Payload, peer: int, turn: int) -> Payload:
        """What the partner put into that window here. It may be overwritten once this learner begins its next
        exchange with that partner."""
        return tuple(self._views(like, self.memory.ranks.index(self.memory.rank), peer, turn))

    def _views(self, like: Payload, place: int, source: int, turn: int) -> list[Tensor]:
        """The parts of a payload from `source` in a window on the learner at `place`."""
        memory = self.memory
        begin, views = (3 * memory.ranks.index(source) + 1 + turn) * memory.window_bytes, []
        for part in like:
            views.append(memory.at(place, begin, part))
            begin += _aligned(part.nbytes)
        return views


def _size(payload: Payload) -> int:
    return sum(_aligned(part.nbytes) for part in payload)


def _aligned(count: int) -> int:
    return -(-count // ALIGNED) * ALIGNED
