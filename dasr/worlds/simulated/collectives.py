"""Where several learners of the simulation meet: collectives over a group, roll calls of the living.

The n-th collective that an activity of one learner starts on a group meets the n-th of the others'
activities of the same name, whatever else is going on: as with a process group of its own for each activity.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dasr.worlds.interface import Payload, PeerLost, RollCall
from dasr.worlds.simulated.messages import Mailbox
from dasr.worlds.simulated.network import Network, store_seconds
from dasr.worlds.simulated.placeholder import PlaceholderTensor
from dasr.worlds.simulated.scheduler import Future, Scheduler, SimulationError


class Call:
    """One collective: who is there, with what."""

    __slots__ = ("futures", "kind", "members", "op", "parts", "size")

    def __init__(self, kind: str, members: tuple[int, ...], op: str, size: float) -> None:
        self.kind = kind
        self.members = members
        self.op = op
        self.size = size
        self.parts: dict[int, Any] = {}  # rank -> a buffer to reduce, or a payload to gather
        self.futures: list[tuple[int, Future]] = []


class SimulatedCollectives:
    """Collectives and roll calls in progress."""

    def __init__(
        self, scheduler: Scheduler, network: Network, boxes: list[Mailbox], timing_only: bool
    ) -> None:
        self.scheduler = scheduler
        self.network = network
        self.boxes = boxes
        self.timing_only = timing_only
        self.everyone = tuple(range(len(boxes)))
        self._open: dict[tuple[Any, str, int], Call] = {}
        self._counts: dict[tuple[int, Any, str], int] = {}
        self._rolls: dict[int, Roll] = {}  # open ones, by number
        self._present = len(boxes)  # learners that have not died or left, as far as others know
        self._answered = [0] * len(boxes)  # roll calls of each learner
        self._gone: list[Mailbox] = []

    def join(
        self,
        rank: int,
        kind: str,
        group: Sequence[int] | None,
        activity: str,
        op: str,
        payload: Tensor | Payload,
        size: float,
    ) -> Future:
        """Learner `rank` starts its next collective on `group`."""
        key = None if group is None else tuple(group)
        count = self._counts.get((rank, key, activity), 0)
        self._counts[rank, key, activity] = count + 1
        place = (key, activity, count)
        call = self._open.get(place)
        if call is None:
            members = self.everyone if key is None else key
            call = self._open[place] = Call(kind, members, op, size)
            if rank not in members:
                raise ValueError(f"learner {rank} is not in the group {members} of its {kind}")
        if (kind, op, size) != (call.kind, call.op, call.size):
            raise SimulationError(
                f"learner {rank} ({activity}) calls {kind} ({op}) of {size:.0f} bytes where others call "
                f"{call.kind} ({call.op}) of {call.size:.0f}: collectives come in different orders"
            )
        future = Future(("collective", call))
        call.parts[rank] = payload
        call.futures.append((rank, future))
        lost = [box for box in self._gone if box.rank in call.members]
        if lost:
            self._fail(call, min(lost, key=lambda box: box.rank))
        elif len(call.parts) == len(call.members):
            del self._open[place]
            now = self.scheduler.now
            end, sent, messages = self.network.collective(now, kind, call.members, size)
            for member in call.members:
                box = self.boxes[member]
                box.learner.accounts.bytes_sent += round(sent)
                box.learner.accounts.messages += messages
            self.scheduler.at(end, self._end, call)
        return future

    def _end(self, call: Call) -> None:
        for member in call.members:
            if not self.boxes[member].learner.alive:
                self._fail(call, self.boxes[member])
                return
        complete = self.scheduler.complete
        if call.kind == "all_gather":
            gathered = [call.parts[member] for member in call.members]
            for _, future in call.futures:
                complete(future, list(gathered))
            return
        if not isinstance(call.parts[call.members[0]], PlaceholderTensor):
            reduce([call.parts[member] for member in call.members], call.op)
        for rank, future in call.futures:
            complete(future, call.parts[rank])

    def _fail(self, call: Call, lost: Mailbox) -> None:
        for _, future in call.futures:
            if not future.done:
                time = max(lost.gone_at or 0.0, self.scheduler.now)
                self.scheduler.at(
                    time, functools.partial(self.scheduler.fail, future), PeerLost(lost.learner.rank)
                )

    def roll_call(self, rank: int, yes: bool, values: tuple[float, ...]) -> Future:
        number = self._answered[rank]
        self._answered[rank] = number + 1
        if number not in self._rolls:
            self._rolls[number] = Roll()
        future = Future(("roll call",))
        self._rolls[number].answers[rank] = (yes, values, future)
        if len(self._rolls[number].answers) >= self._present:
            self._close(number)
        return future

    def gone(self, box: Mailbox, noticed: float) -> None:
        """A learner died or left: collectives that need it fail, roll calls go on without it."""
        self._gone.append(box)
        for place, call in list(self._open.items()):
            if box.learner.rank in call.members:
                self._fail(call, box)
                del self._open[place]
        self.scheduler.at(noticed, self._close_all, None)

    def _close_all(self, _: None) -> None:
        self._present -= 1
        for number in sorted(self._rolls):
            self._close(number)

    def _close(self, number: int) -> None:
        roll = self._rolls[number]
        now = self.scheduler.now
        here = [box.learner.rank for box in self.boxes if box.gone_at is None or box.gone_at > now]
        if any(rank not in roll.answers for rank in here):
            return
        del self._rolls[number]
        members = (
            self.everyone if len(here) == len(self.boxes) else tuple(here)
        )  # one object: quick to compare
        answers = [roll.answers[rank] for rank in here]
        smallest = tuple(min(column) for column in zip(*(a[1] for a in answers), strict=True))
        result = RollCall(all(a[0] for a in answers), smallest, members, number)
        seconds = store_seconds(self.network.cluster, len(here))
        for _, _, future in answers:
            self.scheduler.at(now + seconds, functools.partial(self.scheduler.complete, future), result)


class Roll:
    """One roll call: rank -> (yes, values, future)."""

    def __init__(self) -> None:
        self.answers: dict[int, tuple[bool, tuple[float, ...], Future]] = {}


def reduce(buffers: list[Tensor], op: str) -> None:
    """Sum or mean of all buffers into each, in the order of ranks: the same bits whoever came first."""
    total = buffers[0].clone()
    for buffer in buffers[1:]:
        total += buffer
    if op == "mean":
        total /= len(buffers)
    elif op != "sum":
        raise ValueError(f"all_reduce knows 'mean' and 'sum', not '{op}'")
    for buffer in buffers:
        buffer.copy_(total)
