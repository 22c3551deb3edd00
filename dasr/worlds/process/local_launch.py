"""Learners as processes of this host: for tests, benchmarks and calibration. Training runs are launched by
`dasr train`."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from dasr.worlds.process.world import ProcessWorld, connect

Activity = Callable[[ProcessWorld], Any]
"""A function of a module (not a closure): what one learner does with its world; its result is sent
back."""


STORE_TIMEOUT = timedelta(minutes=30)  # of a question to the store


class ProcessFailed(Exception):
    """A learner process failed. The text has its rank and its traceback."""


def run_processes(
    size: int,
    activity: Activity,
    *,
    nodes: Sequence[int] | None = None,
    may_die: Sequence[int] = (),
    device: str = "cpu",
) -> list[Any]:
    """Run `activity(world)` in `size` processes (`device` cuda: a GPU for each); results by rank.

    The store lives here, so it outlives every learner. When one fails, the others are killed and
    ProcessFailed names its rank. Those in `may_die` may end as they like; their result is None. There is no
    limit in time: whoever interrupts this ends the learners."""
    store = TCPStore("127.0.0.1", 0, None, is_master=True, wait_for_workers=False, timeout=STORE_TIMEOUT)
    context = multiprocessing.get_context("forkserver")  # torch is imported once, not in every process
    context.set_forkserver_preload(["dasr.worlds.process.world"])
    processes, pipes = [], {}
    for rank in range(size):
        mine, its = context.Pipe(duplex=False)
        process = context.Process(
            target=_learner,
            args=(activity, rank, size, nodes, store.port, device, its),
            daemon=True,
        )
        process.start()
        its.close()
        processes.append(process)
        pipes[mine] = rank
    results: list[Any] = [None] * size
    try:
        while pipes:
            for pipe in wait(list(pipes)):
                assert isinstance(pipe, Connection)
                rank = pipes.pop(pipe)
                try:
                    results[rank], failure = pipe.recv()
                except EOFError:
                    processes[rank].join(5)
                    failure = f"it ended with exit code {processes[rank].exitcode}"
                if failure and rank not in may_die:
                    raise ProcessFailed(f"learner {rank} failed: {failure}")
    finally:
        for process in processes:
            process.join(0.2 if pipes else 10)
            if process.is_alive():
                process.kill()
    return results


def _learner(
    activity: Activity,
    rank: int,
    size: int,
    nodes: Sequence[int] | None,
    port: int,
    device: str,
    pipe: Connection,
) -> None:
    try:
        place = f"cuda:{rank}" if device == "cuda" else device
        if device == "cuda":
            torch.cuda.set_device(place)
        store = TCPStore("127.0.0.1", port, None, is_master=False, timeout=STORE_TIMEOUT)
        world = connect(store, rank, size, nodes, place)
        result = activity(world)
        world.close()
        pipe.send((result, None))
    except BaseException:
        pipe.send((None, traceback.format_exc()))
    os._exit(0)  # threads of a lost collective must not hold the process
