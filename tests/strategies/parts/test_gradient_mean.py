"""The mean gradient of those that have one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.parts.gradient_mean import Contribution, GradientMean
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.simulation import Simulation

SIZE = 3


def gradient_of(rank: int) -> Tensor:
    task = Quadratic(batch=SIZE, rank=rank, size=SIZE)
    found = torch.zeros(8, dtype=torch.float64)
    task.gradient(task.initial(), found, lambda part: None)
    return found


@pytest.mark.parametrize(
    ("present", "single_bucket"),
    [((0, 1, 2), False), ((0, 1, 2), True), ((0, 2), True), ((1,), True)],  # one bucket: see Contribution
)
def test_the_gradient_is_the_mean_over_those_that_computed_one(
    present: tuple[int, ...], single_bucket: bool
) -> None:
    async def fraction() -> float:
        return len(present) / SIZE

    async def life(world: World) -> Tensor:
        task = Quadratic(batch=SIZE, rank=world.rank, size=SIZE)
        learner = Learner(world, task, Optimizer, lambda samples: 0.1, Budget(2, SIZE, SIZE))
        mean = GradientMean(learner, "fp32", bucket_mb=1e-6)
        await mean.compute(Contribution(world.rank in present, single_bucket, fraction))
        return learner.gradient.clone()

    expected = torch.stack([gradient_of(rank) for rank in present]).mean(0)
    for found in Simulation(Cluster(), SIZE).run(life):
        torch.testing.assert_close(found, expected)
