"""A node's mean gradient where only some of its learners have a batch left."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch

from dasr.strategies.node import Node
from dasr.training.learner import Budget, Learner
from dasr.training.optimizer import Optimizer
from dasr.worlds.interface import World
from dasr.worlds.simulation import Simulation
from tests.strategies import trial

SIZE, DIMENSION = 3, 7


class Gathering:
    """Of two learners of a simulation, as GPUs of one host do it."""

    def __init__(self, world: World, vector: torch.Tensor, windows: dict[int, torch.Tensor]):
        self.world, self.vector, self.windows = world, vector, windows
        windows[world.rank] = torch.full_like(vector, np.nan)

    def send(self, part: slice) -> None:
        self.windows[self.world.rank][part] = self.vector[part]

    async def sent(self) -> list[torch.Tensor]:
        await self.world.roll_call(True)
        return [self.windows[0], self.windows[1]]


def steps_of(claims: list[list[bool]], size: int, gathers: bool, bucket_mb: float) -> list[Any]:
    """(whether there was a gradient, weights) of each learner after each step."""
    simulation, seen = Simulation(trial.cluster_of(size), size), []
    windows: dict[int, dict[int, torch.Tensor]] = defaultdict(dict)  # a pair for each step

    async def life(world: World) -> list[tuple[bool, np.ndarray]]:
        task = trial.Wavy(world.rank, size, 1, DIMENSION, torch.float64)
        learner = Learner(world, task, Optimizer, lambda samples: trial.RATE, Budget(9, size, size))
        if gathers:
            counter = itertools.count()
            world.gathering = lambda vector, _: Gathering(world, vector, windows[next(counter)])  # type: ignore[method-assign]
        node, steps = Node(learner, tuple(range(size)), bucket_mb), []
        for claimed in claims:
            going = await node.gradient(claimed[world.rank])
            if going:
                learner.update()
            steps.append((going, learner.weights.numpy().copy()))
        return steps

    async def keep(world: World) -> None:
        steps = await life(world)
        seen.append((world.rank, steps))

    simulation.run(keep)
    return [steps for _, steps in sorted(seen)]


@pytest.mark.parametrize("gathers", [False, True])
@pytest.mark.parametrize("bucket_mb", [4.0, 1e-5])
@pytest.mark.parametrize(
    "claims",
    [
        [[True, True, True], [True, False, True], [False, False, False]],
        [[True, True, True], [False, True, False]],
        [[False, True, True], [False, False, False]],  # some never computed
        [[False, False, False]],
    ],
)
def test_the_mean_is_over_those_that_have_a_batch(
    claims: list[list[bool]], bucket_mb: float, gathers: bool
) -> None:
    size = 2 if gathers else SIZE
    results = steps_of(claims, size, gathers, bucket_mb)
    weights, made = trial.start(DIMENSION), [0] * size
    for step, claimed in enumerate(claims):
        own = []
        for rank in range(size):
            if claimed[rank]:
                own.append(trial.gradient(weights, [made[rank] * size + rank]))
                made[rank] += 1
        if own:
            weights = weights - trial.RATE * np.mean(own, axis=0)
        for rank in range(size):
            assert results[rank][step][0] == bool(own)
            np.testing.assert_allclose(results[rank][step][1], weights, rtol=0, atol=1e-12)
