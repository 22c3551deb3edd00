"""Awaitables that never suspend: awaiting one is a blocking call of the thread that its activity lives in."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from dasr.cuda.streams import current

if TYPE_CHECKING:
    from dasr.worlds.process.world import ProcessWorld

T = TypeVar("T")


class BlockingAwaitable(Generic[T]):
    """An awaitable that never suspends: awaiting it is a blocking call of this thread."""

    def __init__(self, world: ProcessWorld, call: Callable[[], T], waits: bool = True) -> None:
        self.world = world
        self.call = call
        self.waits = waits

    def __await__(self) -> Generator[Any, None, T]:
        self.world._check()
        start = time.perf_counter()
        try:
            return self.call()
        finally:
            if self.waits:
                self.world._waited(time.perf_counter() - start)
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
    """A flag that activities of one learner pass between them; on a GPU, also an order of what they put on
    their streams."""

    def __init__(self, world: ProcessWorld) -> None:
        self._world = world
        self._flag = threading.Event()
        self._work = torch.cuda.Event() if world.device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self.clear = self._flag.clear

    def set(self) -> None:
        if self._work is not None:
            self._work.record(current())
        self._flag.set()

    def is_set(self) -> bool:
        raised = self._flag.is_set()
        if raised and self._work is not None:
            current().wait_event(self._work)
        return raised

    def wait(self) -> Awaitable[None]:
        def until_set() -> None:
            self._world._wait_for(self._flag)
            self.is_set()

        return BlockingAwaitable(self._world, until_set)


def no_op() -> None:
    return None


def ignore(_: Tensor) -> None:
    """A slice of the gradient that nobody asked for."""


def failing(error: BaseException) -> Callable[[], Any]:
    def call() -> Any:
        raise error

    return call
