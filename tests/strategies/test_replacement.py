"""A learner process of `ad` is killed and another takes its place in the running run, with an old model."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from dasr.learner.learner import Budget, Learner
from dasr.strategies import registry
from dasr.worlds.interface import Ready
from dasr.worlds.process.world import connect
from tests.support import recursion_trial

SIZE, MORTAL, LIFE, SECOND_LIFE = 4, 2, 15, 60  # lives in gradients
OLD_MODEL = 5.0  # added to what a replacement starts from: far from where the others are


class Task(recursion_trial.Wavy):
    """A gradient takes 10 ms; the mortal's first process is killed in one."""

    def __init__(self, rank: int, mortal: bool, replaces: bool):
        super().__init__(rank, SIZE, 1, 7, torch.float64)
        self.mortal, self.replaces = mortal, replaces
        self.last, self.jump = super().initial(), 0.0  # largest change of a weight between two gradients

    def initial(self) -> torch.Tensor:
        return super().initial() + (OLD_MODEL if self.replaces else 0.0)

    def gradient(self, weights: torch.Tensor, gradient_: torch.Tensor, ready: Ready) -> float:
        time.sleep(0.01)
        if self.mortal and self.steps == LIFE:
            os.kill(os.getpid(), signal.SIGKILL)
        self.jump = max(self.jump, float((weights - self.last).abs().max()))
        self.last = weights.clone()
        return super().gradient(weights, gradient_, ready)


class Keeper:
    """The run ends when the replacement has made its gradients, however long it took to start."""

    def __init__(self, store: TCPStore, replaces: bool):
        self.store, self.replaces = store, replaces

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        if self.replaces and learner.steps == SECOND_LIFE:
            self.store.set("enough", "1")
        return not self.store.check(["enough"])

    def at(self, step: int, doing: str) -> None:
        pass


def life(rank: int, port: int, mortal: bool, replaces: bool, pipe: Connection) -> None:
    store = TCPStore("127.0.0.1", port, None, is_master=False, timeout=timedelta(hours=1))
    world = connect(store, rank, SIZE)
    task = Task(rank, mortal, replaces)
    budget = Budget(10**6, SIZE, SIZE)
    keeper = Keeper(store, replaces)
    learner = Learner(
        world, task, recursion_trial.Recorder, lambda samples: recursion_trial.RATE, budget, keeper
    )
    strategy = registry.make("ad", learner, mixing="ring", roll_call_every=4)
    world.run(strategy.run())
    pipe.send((learner.weights.tolist(), task.steps, task.jump))
    world.close()
    os._exit(0)


@pytest.mark.slow  # learners train until the replacement has come: on a busy machine for long
def test_a_replacement_takes_its_neighbours_mean_and_does_not_spoil_theirs() -> None:
    store = TCPStore("127.0.0.1", 0, None, is_master=True, wait_for_workers=False)
    context = multiprocessing.get_context("forkserver")
    pipes: list[Connection] = []

    def begin(rank: int, mortal: bool, replaces: bool) -> Any:
        mine, its = context.Pipe(duplex=False)
        process = context.Process(target=life, args=(rank, store.port, mortal, replaces, its), daemon=True)
        process.start()
        its.close()
        pipes.append(mine)
        return process

    processes = [begin(rank, rank == MORTAL, False) for rank in range(SIZE)]
    try:
        processes[MORTAL].join(60)
        assert processes[MORTAL].exitcode == -signal.SIGKILL
        processes.append(begin(MORTAL, False, True))
        results = []
        for rank, pipe in enumerate(pipes):
            assert rank == MORTAL or pipe.poll(60), f"learner {rank} does not end"
            if rank != MORTAL:
                results.append(pipe.recv())
    finally:
        for process in processes:
            process.kill()
    weights = np.array([one[0] for one in results])
    assert results[-1][1] == SECOND_LIFE
    assert np.abs(weights - weights.mean(axis=0)).max() < 0.3
    assert max(one[2] for one in results[:-1]) < 1.0 < OLD_MODEL / 3, "others took a share of the old model"
    undisturbed = recursion_trial.run("ad", SIZE, 200).weights.mean(axis=0)
    assert np.abs(weights.mean(axis=0) - undisturbed).max() < 0.4
