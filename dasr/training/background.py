"""Writing files off the critical path: one thread that does one thing after another."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Background:
    """Jobs run in the order given. The first exception is raised at the next call of this object."""

    def __init__(self, waiting: int = 4):
        """`waiting`: jobs that may queue up before submit() blocks (each holds a copy of the weights)."""
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue(waiting)
        self._error: BaseException | None = None
        threading.Thread(target=self._work, daemon=True, name="writer").start()

    def submit(self, job: Callable[[], None]) -> None:
        self.check()
        self._jobs.put(job)

    def check(self) -> None:
        """Raise what a job raised."""
        if self._error is not None:
            raise self._error

    def drain(self) -> None:
        """Wait until everything submitted is done."""
        self._jobs.join()
        self.check()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                if self._error is None:
                    job()
            except BaseException as error:
                self._error = error
            finally:
                self._jobs.task_done()
