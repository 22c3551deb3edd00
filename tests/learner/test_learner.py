"""The learner in virtual time: steps, claims, copies, errors."""

import math
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.tasks.task import Quadratic, Task
from dasr.worlds.interface import World
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.simulation import Simulation

T = TypeVar("T")
OnPart = Callable[[Tensor], None]


def learner_in(world: World, budget: Budget, task: Task | None = None) -> Learner:
    task = task or Quadratic(4, batch=budget.batch, rank=world.rank, size=world.size)
    return Learner(world, task, Optimizer, lambda samples: 0.1, budget)


def simulate(main: Callable[[World], Coroutine[Any, Any, T]], learners: int) -> list[T]:
    return Simulation(presets.load("ethernet-10g"), learners).run(main)


def test_plain_steps_follow_gradient_descent() -> None:
    async def main(world: World) -> Learner:
        learner = learner_in(world, Budget(steps=5, batch=2, learners=1))
        while await learner.begin_step():
            await learner.compute()
            learner.update()
        return learner

    (learner,) = simulate(main, 1)
    task = Quadratic(4, batch=2)
    weights = task.initial()
    for step in range(5):
        weights = weights - 0.1 * (weights - (task.target(2 * step) + task.target(2 * step + 1)) / 2)
    torch.testing.assert_close(learner.weights, weights)
    assert learner.steps == 5 and learner.world.accounts.staleness == {0: 5}


def test_learners_claim_each_batch_of_the_shared_budget_once() -> None:
    seen = []

    async def main(world: World) -> int:
        learner = learner_in(world, Budget(steps=7, batch=6, learners=3))
        while await learner.claim_batch():
            seen.append(learner.samples)
            await learner.compute()
            learner.update(staleness=2)
        return learner.steps

    assert sum(simulate(main, 3)) == 21
    assert sorted(seen) == [2 * index for index in range(21)]


def test_the_gradient_is_taken_where_the_weights_were_when_it_began() -> None:
    learners: list[Learner] = []

    class Meddled(Quadratic):
        def gradient(self, weights: Tensor, gradient: Tensor, ready: OnPart) -> Any:
            learners[0].add([(1.0, torch.ones_like(weights))])  # mixing, meanwhile
            return super().gradient(weights, gradient, ready)

    async def main(world: World) -> None:
        learner = learner_in(world, Budget(1, 1, 1), Meddled(4, noise=0.0))
        learners.append(learner)
        before = learner.copy()
        await learner.compute()
        assert torch.equal(learner.gradient, before)
        assert torch.equal(learner.weights, before + 1)

    simulate(main, 1)


def repeat(change: Callable[[Any], None], argument: Any) -> None:
    for _ in range(200):
        change(argument)


def test_no_change_is_lost_when_two_threads_change_the_weights() -> None:
    async def main(world: World) -> None:
        learner = learner_in(world, Budget(1, 1, 1), Quadratic(50_000))
        before, delta = learner.copy(), torch.ones(50_000, dtype=torch.float64)
        threads = [
            threading.Thread(target=repeat, args=(learner.add, [(0.5, delta)])),
            threading.Thread(target=repeat, args=(learner.update, -delta)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        torch.testing.assert_close(learner.weights, before + 200 * 0.5 + 200 * 0.1)

    simulate(main, 1)


def test_a_loss_that_is_not_finite_stops_with_step_and_batch_named() -> None:
    class Diverging(Quadratic):
        def gradient(self, weights: Tensor, gradient: Tensor, ready: OnPart) -> Any:
            loss = super().gradient(weights, gradient, ready)
            return math.nan if self.steps == 3 else loss

    async def main(world: World) -> None:
        learner = learner_in(world, Budget(9, 2, 1), Diverging(4, batch=2))
        while await learner.begin_step():
            await learner.compute()
            learner.update()

    with pytest.raises(UserError, match=r"loss is nan at step 2 of learner 0.*samples 4 to 5"):
        simulate(main, 1)


def test_a_batch_that_learners_cannot_share_equally_is_refused() -> None:
    with pytest.raises(UserError, match="batch of 10 chunks cannot be shared equally by 4 learners"):
        Budget(steps=1, batch=10, learners=4)
