"""`SimulatedWorld`: what one learner of a `Simulation` sees. The interface: `dasr.worlds.interface.World`."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from dasr.cuda.streams import SideBySide
from dasr.worlds.interface import GRADIENT_LOOP, Payload, Ready, RollCall, bytes_of
from dasr.worlds.simulated.compute_time import ComputeTime
from dasr.worlds.simulated.scheduler import Activity, Future, Scheduler, SimulationError
from dasr.worlds.simulated.virtual_cluster import VirtualCluster

TIME = ("time",)
DRAG_STEP = 1e-3  # of a gradient: what traffic delayed it by is not looked at more closely


class SimulatedEvent:
    """A flag that activities of one learner pass between them."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._future = Future(("event",))

    def set(self) -> None:
        if not self._future.done:
            self._scheduler.complete(self._future)

    def clear(self) -> None:
        if self._future.done:
            self._future = Future(("event",))

    def is_set(self) -> bool:
        return self._future.done

    def wait(self) -> Awaitable[None]:
        return self._future


class SimulatedLock:
    """A Lock. Activities switch at awaits only, so whoever holds it for long is inside an `async with`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._holder: str | None = None  # an activity's name
        self._waiting: deque[Future] = deque()

    def __enter__(self) -> None:
        if self._holder is not None:
            raise SimulationError(
                f"`with lock` while activity '{self._holder}' holds it over an await: use `async with lock`"
            )
        self._holder = self._activity()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder = None
        if self._waiting:
            self._scheduler.complete(self._waiting.popleft())

    async def __aenter__(self) -> None:
        while self._holder is not None:
            turn = Future(("lock", self._holder))
            self._waiting.append(turn)
            await turn
        self._holder = self._activity()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _activity(self) -> str:
        current = self._scheduler.current
        return GRADIENT_LOOP if current is None else current.name


class SimulatedWorld:
    """One learner's view of the simulation; see `dasr.worlds.interface.World`."""

    concurrent = False

    def __init__(self, shared: VirtualCluster, rank: int, pace: ComputeTime, device: torch.device) -> None:
        self.rank = rank
        self._beside = SideBySide(device)  # this learner's gradients and everything else
        self.size = shared.size
        self.nodes: Sequence[int] = shared.network.nodes
        self.box = shared.boxes[rank]
        self.accounts = self.box.learner.accounts
        self.shared = shared
        self.pace = pace
        self._scheduler = shared.scheduler
        self._post = shared.post
        self.computed_at = 0.0  # end of the last gradient
        self.waited_before = 0.0  # seconds that the gradient loop had waited when the last gradient began

    def now(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> Awaitable[None]:
        future = Future(TIME)
        self._scheduler.at(self._scheduler.now + seconds, self._complete, future)
        return future

    def device_synchronize(self) -> Awaitable[None]:
        future = Future(TIME)
        self._complete(future)
        return future

    def compute(self, work: Callable[[Ready], None], ready: Ready | None = None) -> Awaitable[None]:
        scheduler = self._scheduler
        activity = scheduler.current
        assert activity is not None, "compute() is for activities"
        activity.computes = True
        slices: list[Tensor] = []
        with self._beside:
            work(slices.append if ready is not None else _ignore)
        start = scheduler.now
        self.waited_before = self.accounts.wait_seconds
        end = self.pace.finish(start)
        if slices and ready is not None:
            backward = start + (end - start) * self.pace.forward_fraction
            total, done = sum(part.numel() for part in slices), 0
            for part in slices:
                done += part.numel()
                ready_at = min(end, backward + (end - backward) * done / total)  # never after it, by rounding
                scheduler.at(ready_at, self._slice_ready, (activity, ready, part))
        future = Future(TIME)
        self.accounts.compute_seconds += end - start
        self.box.computes_until = end
        if self.shared.description.compute_slowdown > 1.0:
            scheduler.at(end, self._slowed, (future, self._carried(), self.pace.delay_factor()))
        else:
            scheduler.at(end, self._computed, future)
        return future

    def _slowed(self, what: tuple[Future, float, float]) -> None:
        """A gradient is done, unless bytes that passed meanwhile held it up: then the rest is still to do."""
        future, carried_before, factor = what
        carried = self._carried()
        left = factor * (carried - carried_before) * (1 - 1 / self.shared.description.compute_slowdown)
        if left <= DRAG_STEP * self.pace.seconds:
            self._computed(future)
        else:
            self.accounts.compute_seconds += left
            self._scheduler.at(self._scheduler.now + left, self._slowed, (future, carried, 1.0))

    def _carried(self) -> float:
        """Seconds that bytes have passed on this learner's link so far."""
        return self.shared.network.carried(self.rank, self._scheduler.now)

    def _computed(self, future: Future) -> None:
        self._beside.join()
        self.computed_at = self._scheduler.now
        self._scheduler.complete(future)

    def _slice_ready(self, what: tuple[Activity, Ready, Tensor]) -> None:
        activity, ready, part = what
        if self.box.learner.alive:
            self._beside.join()
            self._scheduler.current = activity
            ready(part)
            self._scheduler.current = None

    def _complete(self, future: Future) -> None:
        self._scheduler.complete(future)

    def _captured(self, payload: Payload) -> tuple[Payload, int]:
        """The payload as it is now, and its size in bytes on the wire."""
        shared = self.shared
        size = bytes_of(payload)
        kept = payload if shared.timing_only else tuple([part.clone() for part in payload])
        return kept, size * shared.bytes_scale

    def send(self, payload: Payload, to: int, tag: int = 0) -> Awaitable[None]:
        kept, size = self._captured(payload)
        self.accounts.bytes_sent += size
        self.accounts.messages += 1
        return self._post.send(self.rank, to, tag, kept, size)

    def receive(self, source: int, tag: int = 0) -> Awaitable[Payload]:
        return self._post.receive(self.rank, source, tag)

    def receive_any(self, tag: int = 0) -> Awaitable[tuple[int, Payload]]:
        return self._post.receive_any(self.rank, tag)

    def exchange(self, payload: Payload, peer: int, tag: int = 0) -> Awaitable[Payload]:
        self.send(payload, peer, tag)
        return self._post.receive(self.rank, peer, tag)

    def all_reduce(
        self,
        buffer: Tensor,
        group: Sequence[int] | None = None,
        op: str = "mean",
        out: Tensor | None = None,
    ) -> Awaitable[Tensor]:
        if out is not None:
            buffer = out.copy_(buffer)
        size = buffer.nbytes * self.shared.bytes_scale
        return self.shared.collectives.join(
            self.rank, "all_reduce", group, self._activity(), op, buffer, size
        )

    def symmetric_like(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like)

    def all_gather(self, payload: Payload, group: Sequence[int] | None = None) -> Awaitable[list[Payload]]:
        kept, size = self._captured(payload)
        return self.shared.collectives.join(self.rank, "all_gather", group, self._activity(), "", kept, size)

    def sharded_update(self, vector: Tensor, target: Tensor, group: Sequence[int] | None = None) -> None:
        return None

    def _activity(self) -> str:
        current = self._scheduler.current
        return current.name if current is not None else GRADIENT_LOOP

    def spawn(self, activity: Coroutine[Any, Any, None], name: str) -> Awaitable[None]:
        if name == GRADIENT_LOOP:
            raise ValueError(f"'{GRADIENT_LOOP}' is the name of the gradient loop: choose another one")
        return self._scheduler.start(activity, self.box.learner, name).finished

    def event(self) -> SimulatedEvent:
        return SimulatedEvent(self._scheduler)

    def lock(self) -> SimulatedLock:
        return SimulatedLock(self._scheduler)

    def count(self, name: str, amount: int) -> Awaitable[int]:
        counters = self.shared.counters
        before = counters.get(name, 0)
        counters[name] = before + amount
        future = Future(("store",))
        seconds, now = self.shared.store_s, self._scheduler.now
        if self.shared.store_busy_s is not None and self.shared.network.busy(self.rank, now):
            seconds = self.shared.store_busy_s
        if seconds:
            self._scheduler.at(now + seconds, _Deliver(self._scheduler, before), future)
        else:
            self._scheduler.complete(future, before)
        return future

    def roll_call(self, yes: bool, *values: float) -> Awaitable[RollCall]:
        return self.shared.collectives.roll_call(self.rank, yes, values)


class _Deliver:
    __slots__ = ("scheduler", "value")

    def __init__(self, scheduler: Scheduler, value: Any) -> None:
        self.scheduler = scheduler
        self.value = value

    def __call__(self, future: Future) -> None:
        self.scheduler.complete(future, self.value)


def _ignore(_: Tensor) -> None:
    """A slice of the gradient that nobody asked for."""
