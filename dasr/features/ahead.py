"""An iterator that runs in a thread, a few items ahead of who takes them."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch
from threadpoolctl import threadpool_limits

READY = 4  # items made ahead, at least
T = TypeVar("T")


def leave_openmp_to_learner(pin: bool) -> None:
    """Called by each thread of a feed. Where the learner computes on the CPU (no pinned memory), OpenMP is
    left to it: with a second team of threads libgomp no longer spins at barriers (a gradient took 2.5 times
    as long).
    """
    if not pin:
        torch.get_num_threads()  # a new thread's first question sets its number; ours comes after
        threadpool_limits(1, user_api="openmp")


class Ahead(Generic[T]):
    """Items made in a thread; an exception in it is raised by `get`."""

    def __init__(self, items: Iterator[T], begin: Callable[[], None]) -> None:
        """`begin` is called in the thread before the first item."""
        self._queue: queue.Queue[T | BaseException] = queue.Queue(READY)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(items, begin), name="dasr-feed", daemon=True)
        self._thread.start()

    def _run(self, items: Iterator[T], begin: Callable[[], None]) -> None:
        try:
            begin()
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:
            self._put(error)

    def _put(self, item: T | BaseException) -> bool:
        self._queue.put(item)
        return not self._stopped.is_set()

    def get(self) -> T:
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def stop(self) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):  # makes room for a `put` that is waiting
                self._queue.get_nowait()
            self._thread.join(0.01)
