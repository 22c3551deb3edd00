"""A node's mean gradient where only some of its learners have a batch left."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.parts.super_learner import SuperLearner
from dasr.worlds.interface import ApplyPart, World
from dasr.worlds.simulated.simulation import Simulation
from tests.support import recursion_trial

SIZE, DIMENSION = 3, 7


class ShardedUpdate:
    """Of the learners of a simulation, as GPUs of one host do it; `others`: those of the same step."""

    def __init__(
        self, world: World, vector: torch.Tensor, target: torch.Tensor, others: dict[int, ShardedUpdate]
    ):
        self.world, self.vector, self.target, self.others = world, vector, target, others
        self.sent = torch.full_like(vector, np.nan)
        self.parts: list[slice] = []
        others[world.rank] = self

    def send(self, part: slice) -> None:
        self.sent[part] = self.vector[part]
        self.parts.append(part)

    def update(self, applying: AbstractContextManager[ApplyPart]) -> list[tuple[slice, Awaitable[None]]]:
        return [(slice(0, len(self.vector)), self._update(applying))]

    async def _update(self, applying: AbstractContextManager[ApplyPart]) -> None:
        await self.world.roll_call(True)
        everyone = [self.others[rank] for rank in sorted(self.others)]
        assert all(other.parts == self.parts for other in everyone)
        with applying as apply_part:
            for part in self.parts[self.world.rank :: len(everyone)]:
                apply_part(part, [other.sent[part] for other in everyone])
                for other in everyone:
                    other.target[part] = self.target[part]
        await self.world.roll_call(True)


def steps_of(claims: list[list[bool]], size: int, shares: bool, bucket_mb: float) -> list[Any]:
    """(whether there was a gradient, weights) of each learner after each step."""
    simulation, seen = Simulation(recursion_trial.cluster_of(size), size), []
    sharings: dict[int, dict[int, ShardedUpdate]] = defaultdict(dict)  # those of each step

    async def life(world: World) -> list[tuple[bool, np.ndarray]]:
        task = recursion_trial.Wavy(world.rank, size, 1, DIMENSION, torch.float64)
        learner = Learner(world, task, Optimizer, lambda samples: recursion_trial.RATE, Budget(9, size, size))
        if shares:
            counter = itertools.count()

            def sharded_update(vector: torch.Tensor, target: torch.Tensor, _: object) -> Any:
                return ShardedUpdate(world, vector, target, sharings[next(counter)])

            world.sharded_update = sharded_update  # type: ignore[method-assign, assignment]
        coming = iter(claims)

        async def claim_batch() -> bool:
            return next(coming)[world.rank]

        learner.claim_batch = claim_batch  # type: ignore[method-assign]
        node, steps = SuperLearner(learner, bucket_mb), []
        for _ in claims:
            going = await node.claim_batch()
            if going:
                await node.step()
            steps.append((going, learner.weights.numpy().copy()))
        return steps

    async def keep(world: World) -> None:
        steps = await life(world)
        seen.append((world.rank, steps))

    simulation.run(keep)
    return [steps for _, steps in sorted(seen)]


@pytest.mark.parametrize("shares", [False, True])
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
    claims: list[list[bool]], bucket_mb: float, shares: bool
) -> None:
    size = SIZE
    results = steps_of(claims, size, shares, bucket_mb)
    weights, made = recursion_trial.start(DIMENSION), [0] * size
    for step, claimed in enumerate(claims):
        own = []
        for rank in range(size):
            if claimed[rank]:
                own.append(recursion_trial.gradient(weights, [made[rank] * size + rank]))
                made[rank] += 1
        if own:
            weights = weights - recursion_trial.RATE * np.mean(own, axis=0)
        for rank in range(size):
            assert results[rank][step][0] == bool(own)
            np.testing.assert_allclose(results[rank][step][1], weights, rtol=0, atol=1e-12)
