"""What a strategy sees of a learner."""

from __future__ import annotations

import inspect

from dasr.learner.learner import Learner as RealLearner
from dasr.strategies.learner import Learner
from tests.strategies.test_structure import members


def test_a_learner_has_at_most_15_members_for_strategies() -> None:
    assert len(members(Learner)) <= 15


def test_the_real_learners_methods_take_what_the_protocol_says() -> None:
    for name in members(Learner):
        said, real = getattr(Learner, name, None), getattr(RealLearner, name, None)
        if inspect.isfunction(said):
            assert inspect.isfunction(real), name
            wanted, given = (inspect.signature(one).parameters for one in (said, real))
            assert [(p.name, p.default) for p in wanted.values()] == [
                (p.name, p.default) for p in given.values()
            ], name
