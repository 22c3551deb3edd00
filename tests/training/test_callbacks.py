"""Step boundaries of a run: snapshots at their points, one vote on stopping, an old file in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dasr.config import TRAININGS
from dasr.errors import UserError
from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies import registry
from dasr.tasks.task import Quadratic
from dasr.training import snapshots
from dasr.training.callbacks import RunCallbacks
from dasr.training.checkpoint import Checkpoints
from dasr.training.metrics import Clock
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation

CONFIG = TRAININGS["demo"].model_copy(update={"snapshots": 2, "checkpoint_seconds": 1e9})


def run(
    folder: Path, learners: int, asked: Callable[[int], bool], steps: int = 4, **options: Any
) -> list[RunCallbacks]:
    """`sc-allreduce`, a second a step; `asked(rank)`: whether that learner has been asked to stop."""
    config = CONFIG.model_copy(update=options)

    async def life(world: World) -> RunCallbacks:
        checkpoints, clock = Checkpoints(folder, world.rank, {}), Clock(world)
        callbacks = RunCallbacks(
            config, steps * learners, checkpoints, clock, None, lambda: asked(world.rank)
        )
        task = Quadratic(5, batch=learners, rank=world.rank, size=learners)
        budget = Budget(steps, learners, learners)
        learner = Learner(world, task, Optimizer, lambda samples: 0.1, budget, callbacks)
        callbacks.strategy = registry.make("sc-allreduce", learner)
        await callbacks.strategy.run()
        callbacks.finish(learner)
        return callbacks

    return list(Simulation(Cluster(compute=Compute(fixed_s=1.0)), learners).run(life))


def test_snapshots_are_taken_at_even_shares_of_the_budget(tmp_path: Path) -> None:
    (callbacks,) = run(tmp_path, 1, lambda rank: False)
    assert not callbacks.stopped and snapshots.points(tmp_path) == [1, 2]
    task, weights, passed = Quadratic(5), Quadratic(5).initial(), []
    for step in range(4):
        weights = weights - 0.1 * (weights - task.target(step))
        passed.append(weights)
    for point, steps in ((1, 2), (2, 4)):
        (found,) = snapshots.read(tmp_path, point)
        assert found.samples == steps and found.epochs == steps / 4
        torch.testing.assert_close(found.weights.double(), passed[steps - 1], atol=1e-6, rtol=0)


def test_all_save_and_stop_at_one_step_when_one_of_them_is_asked(tmp_path: Path) -> None:
    ended = run(tmp_path, 3, lambda rank: rank == 2)
    assert [one.stopped for one in ended] == [True] * 3
    assert {tuple(one.checkpoints.steps()) for one in ended} == {(0,)}


def test_checkpoints_are_as_far_apart_on_the_clock_of_the_world_as_configured(tmp_path: Path) -> None:
    """Within the two seconds from one vote to the next, and two are kept."""
    ended = run(tmp_path, 2, lambda rank: False, steps=40, checkpoint_seconds=10.0)
    last, before = ended[0].checkpoints.steps()
    assert 10 <= last - before <= 12 and last > 40 - 12
    assert all(one.checkpoints.steps() == [last, before] for one in ended)


def test_a_checkpoint_without_a_key_is_of_another_version(tmp_path: Path) -> None:
    (callbacks,) = run(tmp_path, 1, lambda rank: True)
    state = callbacks.checkpoints.load(0)
    del state["learner"]["steps"]
    assert callbacks.strategy is not None
    learner = callbacks.strategy.learner
    assert isinstance(learner, Learner)
    with pytest.raises(UserError, match=r"has no 'steps': another version of dasr wrote it; delete"):
        callbacks.restore(learner, state)
