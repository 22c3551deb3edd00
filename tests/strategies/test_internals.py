"""What only building blocks see of a learner."""

from __future__ import annotations

from dasr.learner.learner import Budget
from dasr.learner.learner import Learner as RealLearner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.internals import LearnerInternals
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.simulation import Simulation
from tests.strategies.test_structure import members


def test_a_learner_has_at_most_9_more_members_for_the_parts_of_strategies() -> None:
    assert len(members(LearnerInternals)) <= 9


def test_the_real_learner_has_them() -> None:
    async def life(world: World) -> RealLearner:
        return RealLearner(world, Quadratic(), Optimizer, lambda samples: 0.1, Budget(1, 1, 1))

    (learner,) = Simulation(Cluster(), 1).run(life)
    assert not [name for name in members(LearnerInternals) if not hasattr(learner, name)]
