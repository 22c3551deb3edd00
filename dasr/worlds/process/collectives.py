"""Collectives between learner processes: NCCL for device tensors of the gradient loop, gloo for everything
else.

Each (group of learners, activity) has a process group of its own, made when it is first used, so that
collectives of two activities never meet and their threads never wait for each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore

from dasr import torch_private
from dasr.clock import Clock
from dasr.worlds.interface import Payload, PeerLost

if TYPE_CHECKING:
    from dasr.worlds.process.transport import Transport

SHOWS_S = 5.0  # in which a death shows: a connection is refused at once, a supervisor tells within seconds
LOOK_S = 1.0  # a collective that lasts longer looks this often whether a member is lost


class Collectives:
    """The process groups of one learner. `find_lost(members)`: one that is dead, or None."""

    def __init__(
        self,
        transport: Transport,
        host: str,
        timeout_s: float,
        find_lost: Callable[[tuple[int, ...]], int | None],
        clock: Clock = Clock(),  # noqa: B008  (it is frozen)
    ) -> None:
        """`timeout_s`: a collective that lasts longer has failed."""
        self.transport = transport
        self.timeout = timedelta(seconds=timeout_s)
        self.find_lost = find_lost
        self._clock = clock
        self._device = torch_private.gloo_device(host)
        self._groups: dict[tuple[tuple[int, ...], str, bool], Any] = {}
        self._stores: dict[str, Any] = {}

    def start(
        self, members: tuple[int, ...], activity: str, on_device: bool, launch: Callable[[Any], Any]
    ) -> Callable[[], None]:
        """Launch an asynchronous collective; gives what waits for its end. Both raise PeerLost."""
        try:
            work = launch(self._group(members, activity, on_device))
        except RuntimeError as error:
            raise self._explain(error, members) from error
        return lambda: self._wait(work, members, on_device)

    def reduce(
        self, buffer: Tensor, op: str, members: tuple[int, ...], activity: str, on_device: bool
    ) -> Callable[[], Tensor]:
        """Start reducing in place; gives what waits for it. Both raise PeerLost."""
        there = buffer if on_device or not buffer.is_cuda else buffer.cpu()
        wait = self.start(members, activity, on_device, all_reduce(there, op, on_device))

        def finish() -> Tensor:
            wait()
            if op == "mean" and not on_device:
                there.div_(len(members))
            return buffer if there is buffer else buffer.copy_(there)

        return finish

    def gather(
        self, payload: Payload, members: tuple[int, ...], activity: str, on_device: bool
    ) -> Callable[[], list[Payload]]:
        """Start gathering everyone's payload; gives what waits for it. Both raise PeerLost."""
        columns, waits = [], []
        for part in payload:
            mine = part.detach()
            there = mine.contiguous() if on_device else mine.cpu() if part.is_cuda else mine.clone()
            places, launch = all_gather(there, len(members))
            columns.append(places)
            waits.append(self.start(members, activity, on_device, launch))

        def finish() -> list[Payload]:
            for wait in waits:
                wait()
            return [
                tuple(place.to(part.device) for place, part in zip(row, payload, strict=True))
                for row in zip(*columns, strict=True)
            ]

        return finish

    def _wait(self, work: Any, members: tuple[int, ...], on_device: bool) -> None:
        try:
            if on_device:
                work.wait()  # the current stream waits, not this thread
                return
            # gloo's wait with a limit gives the whole group up when it expires: so poll, gently
            began = self._clock.now()
            look = began + LOOK_S
            while not work.is_completed():
                self._clock.sleep(min(1e-3, max(20e-6, 0.1 * (self._clock.now() - began))))
                if self._clock.now() > look:
                    look = self._clock.now() + LOOK_S
                    lost = self.find_lost(members)
                    if lost is not None:
                        raise PeerLost(lost)
            work.wait()
        except RuntimeError as error:
            raise self._explain(error, members) from error

    def _explain(self, error: RuntimeError, members: tuple[int, ...]) -> Exception:
        """PeerLost where a member died, which takes a moment to be seen; else the error itself."""
        for key in [key for key in self._groups if key[0] == members]:
            del self._groups[key]
        deadline = self._clock.now() + SHOWS_S
        while self._clock.now() < deadline:
            lost = self.find_lost(members)
            if lost is not None:
                return PeerLost(lost)
            self._clock.sleep(0.1)
        return RuntimeError(f"a collective of learners {members} failed: {error}")

    def _group(self, members: tuple[int, ...], activity: str, on_device: bool) -> Any:
        key = (members, activity, on_device)
        if key not in self._groups:
            name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
            store = PrefixStore(f"group/{name}", self._store_of(activity))
            mine = members.index(self.transport.rank)
            if on_device:
                self._groups[key] = torch_private.nccl_group(store, mine, len(members), self.timeout)
            else:
                device, timeout = self._device, self.timeout
                self._groups[key] = torch_private.gloo_group(store, mine, len(members), device, timeout)
        return self._groups[key]

    def _store_of(self, activity: str) -> Any:
        """A connection to the store for each activity: who waits on one holds it, and two may be making
        groups."""
        if activity not in self._stores:
            self._stores[activity] = self.transport.store.clone()
        return self._stores[activity]


def all_reduce(buffer: Tensor, op: str, on_device: bool) -> Callable[[Any], Any]:
    """What `Collectives.start` launches: in place, sums (gloo; the mean follows) or means (NCCL)."""
    options = dist.AllreduceOptions()
    options.reduceOp = dist.ReduceOp.AVG if on_device and op == "mean" else dist.ReduceOp.SUM
    return lambda group: group.allreduce([buffer], options)


def all_gather(part: Tensor, size: int) -> tuple[list[Tensor], Callable[[Any], Any]]:
    """Where `size` learners' parts will be, and what `Collectives.start` launches."""
    parts = [torch.empty_like(part) for _ in range(size)]
    return parts, lambda group: group.allgather([parts], [part])
