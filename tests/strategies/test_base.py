"""What every strategy shares."""

from __future__ import annotations

import pytest

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.base import Strategy
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.simulation import Simulation


class Counting(Strategy):
    name = "counting"

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner)
        self.said: list[str] = []

    async def step(self) -> None:
        self.said.append("step")
        await self.learner.step()

    async def finish(self) -> None:
        self.said.append("finish")


class Empty(Strategy):
    name = "empty"


async def life(world: World, kind: type[Strategy]) -> Strategy:
    strategy = kind(Learner(world, Quadratic(), Optimizer, lambda samples: 0.1, Budget(3, 1, 1)))
    await strategy.run()
    return strategy


def run(kind: type[Strategy]) -> Strategy:
    found: list[Strategy] = Simulation(Cluster(), 1).run(lambda world: life(world, kind))
    return found[0]


def test_it_steps_until_the_budget_is_spent_and_finishes_once() -> None:
    strategy = run(Counting)
    assert isinstance(strategy, Counting)
    assert strategy.said == ["step"] * 3 + ["finish"] and strategy.learner.steps == 3


def test_a_strategy_without_step_and_run_is_refused() -> None:
    with pytest.raises(TypeError, match="'empty' defines neither step"):
        run(Empty)


def test_one_without_state_refuses_a_state() -> None:
    strategy = run(Counting)
    assert strategy.state_dict() == {}
    strategy.load_state_dict({})
    with pytest.raises(ValueError, match=r"keeps no state, but was given \['mean'\]"):
        strategy.load_state_dict({"mean": 1})
