"""Worker processes of a stage."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from dasr import log
from dasr.errors import UserError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def workers(
    jobs: int,
    doing: str,
    start: Callable[..., None] | None = None,
    *arguments: Any,
    tasks_each: int | None = None,
) -> Iterator[ProcessPoolExecutor]:
    """`jobs` processes that begin with start(*arguments) and end when this one does, however it ends.

    `tasks_each`: a process ends after so many, which gives its memory back. On an exception no task is begun
    that has not been. Raises UserError if one of them dies; `doing`: what they do, for its message."""
    context = multiprocessing.get_context("spawn")  # fork would copy locked thread pools of torch and BLAS
    try:
        pool = ProcessPoolExecutor(jobs, context, _begin, (start, *arguments), max_tasks_per_child=tasks_each)
    except OSError as error:  # a semaphore is a file there
        raise UserError(
            f"cannot start {doing} processes: /dev/shm: {error.strerror}: "
            "make room there, or mount it writable"
        ) from None
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError(f"a {doing} process died (out of memory?): use fewer --jobs") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(start: Callable[..., None] | None, *arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    log.configure()
    if start is not None:
        start(*arguments)


def _end_with_parent() -> None:
    """A parent that is killed cannot tell its workers, which would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
