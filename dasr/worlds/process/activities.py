"""The activities of one learner: coroutines that have a thread each, and never suspend.

Awaiting something is a blocking call of the activity's thread. On a GPU each activity but the gradient loop
has a stream of its own, so that its copies overlap the gradient's kernels.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from dasr.cuda import streams
from dasr.cuda.streams import StreamOrder
from dasr.worlds.interface import GRADIENT_LOOP, Accounts

T = TypeVar("T")
CHECK_S = 0.5  # how often a waiting thread looks whether another activity has failed


class Activities:
    """Starts activities, and knows which one a thread is. What one of them raises, all raise when they next
    wait: nobody waits for a failed one for ever."""

    def __init__(self, device: torch.device, accounts: Accounts) -> None:
        self.device = device
        self.accounts = accounts
        self.failure: BaseException | None = None  # what a spawned activity raised first
        self._here = threading.local()

    @property
    def name(self) -> str:
        """Of the activity whose thread this is."""
        return getattr(self._here, "name", GRADIENT_LOOP)

    def run(self, activity: Coroutine[Any, Any, T]) -> T:
        """Run the gradient loop to its end, in this thread."""
        return self._drive(activity, GRADIENT_LOOP)

    def spawn(self, activity: Coroutine[Any, Any, None], name: str) -> Awaitable[None]:
        """Start another activity in a thread of its own. Raises ValueError for the gradient loop's name."""
        if name == GRADIENT_LOOP:
            raise ValueError(f"'{GRADIENT_LOOP}' is the name of the gradient loop: choose another one")
        done = threading.Event()

        def live() -> None:
            try:
                self._drive(activity, name)
            except BaseException as error:
                self.failure = self.failure or error
            finally:
                done.set()

        threading.Thread(target=live, name=name, daemon=True).start()
        return BlockingAwaitable(self, lambda: self.wait_for(done))

    def computes(self) -> None:
        """This activity computes gradients: the accounts count how long it waits."""
        self._here.computes = True

    def check(self) -> None:
        """Raise what another activity of this learner raised."""
        if self.failure is not None:
            raise self.failure

    def wait_for(self, flag: threading.Event) -> None:
        while not flag.wait(CHECK_S):
            self.check()
        self.check()

    def waited(self, seconds: float) -> None:
        if getattr(self._here, "computes", False):
            self.accounts.wait_seconds += seconds

    def _drive(self, activity: Coroutine[Any, Any, T], name: str) -> T:
        self._here.name = name
        self._here.computes = name == GRADIENT_LOOP
        try:
            with streams.of_activity(self.device, own=name != GRADIENT_LOOP):
                activity.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        raise RuntimeError(f"activity '{name}' awaits something that is not of its world")


class BlockingAwaitable(Generic[T]):
    """Awaiting it calls a function that may block this thread. `waits`: the accounts count that time."""

    def __init__(self, activities: Activities, call: Callable[[], T], waits: bool = True) -> None:
        self.activities = activities
        self.call = call
        self.waits = waits

    def __await__(self) -> Generator[Any, None, T]:
        self.activities.check()
        start = time.perf_counter()
        try:
            return self.call()
        finally:
            if self.waits:
                self.activities.waited(time.perf_counter() - start)
        yield  # makes this a generator; never reached


def run_now(awaitable: Awaitable[T]) -> T:
    """The result of an awaitable of a ProcessWorld, outside a coroutine."""
    try:
        next(iter(awaitable.__await__()))
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise RuntimeError("not an awaitable of a ProcessWorld")


class ProcessEvent:
    """An Event: a flag of threads, and an order of their streams."""

    def __init__(self, activities: Activities) -> None:
        self._activities = activities
        self._flag = threading.Event()
        self._order = StreamOrder(activities.device)
        self.clear = self._flag.clear
        self.is_set = self._flag.is_set

    def set(self) -> None:
        self._order.record()
        self._flag.set()

    def wait(self) -> Awaitable[None]:
        def until_set() -> None:
            self._activities.wait_for(self._flag)
            self._order.wait()

        return BlockingAwaitable(self._activities, until_set)


class ProcessLock:
    """A Lock: of threads, and an order of their streams."""

    def __init__(self, activities: Activities) -> None:
        self._activities = activities
        self._lock = threading.Lock()
        self._order = StreamOrder(activities.device)

    def __enter__(self) -> None:
        while not self._lock.acquire(timeout=CHECK_S):
            self._activities.check()
        self._order.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._order.record()
        self._lock.release()

    async def __aenter__(self) -> None:
        await BlockingAwaitable(self._activities, self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def no_op() -> None:
    return None


def ignore(_: Tensor) -> None:
    """A slice of the gradient that nobody asked for."""


def failing(error: BaseException) -> Callable[[], Any]:
    """A function that raises `error`."""

    def call() -> Any:
        raise error

    return call
