"""learner.step(): compute() and update() in one, told by parts where the optimizer is element-wise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from tests.learner.test_learner import simulate


def learner_in(world: World, clip: float | None) -> Learner:
    return Learner(
        world, Quadratic(8), lambda weights: Optimizer(weights, clip), lambda samples: 0.1, Budget(4, 1, 1)
    )


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_a_step_tells_each_part_of_the_new_weights_once(clip: float | None) -> None:
    async def main(world: World) -> None:
        plain, told = learner_in(world, clip), learner_in(world, clip)
        new = torch.full_like(told.weights, float("nan"))

        def on_part(part: slice, weights: Tensor) -> None:
            assert bool(new[part].isnan().all())
            new[part] = weights

        await plain.compute()
        plain.update()
        await told.step(on_part)
        assert torch.equal(told.weights, plain.weights) and torch.equal(new, plain.weights)
        assert told.steps == 1

    simulate(main, 1)


def test_a_step_knows_how_long_it_took() -> None:
    async def main(world: World) -> None:
        learner = learner_in(world, None)
        assert learner.step_seconds == float("inf")
        began = world.now()
        await learner.step()
        assert learner.step_seconds == world.now() - began

    simulate(main, 1)


def test_the_staleness_of_an_update_is_0_unless_its_batch_was_claimed() -> None:
    async def main(world: World) -> None:
        learner = learner_in(world, None)
        await learner.begin_step()
        await learner.step()
        assert learner.world.accounts.staleness == {0: 1}
        await learner.claim_batch()
        await learner.step()
        assert learner.world.accounts.staleness == {0: 1}  # the next claim will tell
        await world.count("batches", 2)  # those of others
        await learner.claim_batch()
        assert learner.world.accounts.staleness == {0: 1, 2: 1}

    simulate(main, 1)
