"""What learner processes of the tests run: the same runs as in virtual time, on real processes."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch

from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.strategies import registry
from dasr.worlds.interface import Ready, World
from dasr.worlds.process.world import ProcessWorld
from tests.support import recursion_trial

SIZE, STEPS, DIMENSION = 4, 6, 7
Runs = list[tuple[str, dict[str, Any]]]
DETERMINISTIC: Runs = [
    *((name, {}) for name in registry.names() if not registry.find(name).asynchronous),
    *(("sd", {"mixing": mixing}) for mixing in ("random-ring", "random-pairs", "uniform", "exponential")),
    *(("sc-allreduce", {"compression": spec}) for spec in ("bf16", "fp16", "sign", "topk:0.3", "powersgd:2")),
    *(("sd", {"compression": spec}) for spec in ("bf16", "sign", "powersgd:2")),
    ("sc-ps", {"servers": 3, "compression": "sign"}),
    ("bmuf", {"tau": 2, "nesterov": True}),
    ("slowmo", {"inner": "sgp", "tau": 2}),
    ("streaming-diloco", {"period": 4, "overlap": 2}),
]
ASYNCHRONOUS: Runs = [
    ("ad", {}),
    ("ad", {"mixing": "random-pairs", "compression": "sign"}),
    ("ad", {"order": "update-then-mix"}),
    ("h-ad", {}),
    ("ac-ps", {"servers": 2}),
]


class Counted:
    """The world of one of several runs in the same processes: counters of its own."""

    def __init__(self, world: World, number: int):
        self._world, self._number = world, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def count(self, name: str, amount: int) -> Any:
        return self._world.count(f"{name}/{self._number}", amount)


class Slow(recursion_trial.Wavy):
    """A gradient takes 10 ms, on learner 1 five times as much: time for the others to mix meanwhile."""

    def gradient(self, weights: torch.Tensor, gradient_: torch.Tensor, ready: Ready) -> float:
        time.sleep(0.05 if self.rank == 1 else 0.01)
        return super().gradient(weights, gradient_, ready)


async def train(world: World, runs: Runs, kind: type[recursion_trial.Wavy], plain: bool) -> list[Any]:
    """(weights, sum of this learner's updates, gradients it computed), for one run after another."""
    results = []
    for number, (strategy, options) in enumerate(runs):
        mine: Any = Counted(world, number)
        task = kind(world.rank, world.size, 1, DIMENSION, torch.float64)
        name = "sgd" if plain else registry.find(strategy).optimizer or "sgd"
        make: Any = recursion_trial.Recorder if plain else partial(optimizer.make, name)
        budget = Budget(STEPS, world.size, world.size)
        learner = Learner(mine, task, make, lambda samples: recursion_trial.RATE, budget)
        await registry.make(strategy, learner, **options).run()
        await world.roll_call(True)
        moved = sum(getattr(learner.optimizer, "updates", []), start=np.zeros(DIMENSION))
        results.append((learner.weights.tolist(), moved, task.steps))
    return results


def deterministic(world: ProcessWorld) -> Any:
    return world.run(train(world, DETERMINISTIC, recursion_trial.Wavy, plain=False))


def asynchronous(world: ProcessWorld) -> Any:
    return world.run(train(world, ASYNCHRONOUS, Slow, plain=True))
