"""Pairwise exchanges of learners whose GPUs are in one host, through two buffers for each pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dasr.cuda.streams import record_event, wait_for
from dasr.worlds.interface import Payload, Ready
from dasr.worlds.peer_memory.region import PeerRegion
from dasr.worlds.peer_memory.signals import EXCHANGE

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
    """Two buffers for each partner, here and in its memory, used in turn.

    One exchange with a partner is under way at a time. A partner that has started an exchange has read what
    came in the exchange before it, so that the second-next exchange may reuse that buffer."""

    def __init__(self, region: PeerRegion):
        self.region = region
        self._turns: dict[int, int] = {}  # exchanges with each partner
        self._under_way: set[int] = set()  # partners
        self._waiting: list[_Exchange] = []  # those that have not been started
        self._claimed_by: str | None = None  # the first activity that exchanged: only it may use the buffers
        self._parts = 0  # of the last gradient

    def can_exchange(self, payload: Payload, peer: int, activity: str) -> bool:
        """Whether that activity can put the payload into the partner's buffer. Both ends come to the same
        answer."""
        region = self.region
        if peer not in region.ranks or peer in region.replaced or not all(part.is_cuda for part in payload):
            return False
        if peer in self._under_way:
            return False
        return self._claimed_by in (None, activity) and _size(payload) <= region.window_bytes

    def claim_for(self, activity: str) -> None:
        """From the first exchange on, the buffers belong to the activity that made it."""
        self._claimed_by = activity

    def exchange(self, payload: Payload, peer: int) -> Callable[[], Payload]:
        """Start, see begin(). Returns a function that makes the stream, not the thread, wait, and returns the
        partner's payload."""
        coming = _Exchange(payload, peer, self.region.ranks.index(peer), self._turn(peer))
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
        """Start the exchanges that were requested. Called during a backward pass, or when one of them is
        awaited: copies delay the many short kernels of a forward pass more than others."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        beside, signals = self.region.side_stream, self.region.signals
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
        """`ready`, wrapped so that exchanges start once a fraction of the gradient's slices is final."""
        if not self._waiting:
            return ready
        last, self._parts = self._parts, 0

        def on_part(part: Tensor) -> None:
            if self._parts == last // START_AFTER_ONE_IN:
                self.begin()
            self._parts += 1
            ready(part)

        return on_part

    def push(self, payload: Payload, peer: int) -> int:
        """Copy into the partner's buffer, and wait for the copy. Returns which of the two buffers."""
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
        there = self._views(payload, self.region.ranks.index(peer), self.region.rank, turn)
        for target, part in zip(there, payload, strict=True):
            target.copy_(part, non_blocking=True)

    def window(self, like: Payload, peer: int, turn: int) -> Payload:
        """The partner's payload in that buffer. It may be overwritten once this learner starts its next
        exchange with that partner."""
        return tuple(self._views(like, self.region.ranks.index(self.region.rank), peer, turn))

    def _views(self, like: Payload, place: int, source: int, turn: int) -> list[Tensor]:
        """The parts of a payload from `source` in a window on the learner at `place`."""
        region = self.region
        begin, views = (3 * region.ranks.index(source) + 1 + turn) * region.window_bytes, []
        for part in like:
            views.append(region.at(place, begin, part))
            begin += _aligned(part.nbytes)
        return views


def _size(payload: Payload) -> int:
    return sum(_aligned(part.nbytes) for part in payload)


def _aligned(count: int) -> int:
    return -(-count // ALIGNED) * ALIGNED
