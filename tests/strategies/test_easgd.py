"""`easgd` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_learners_and_centre_pull_each_other() -> None:
    recursion_trial.follows(
        "easgd", {"tau": 2, "beta": 0.8}, lambda size, steps: oracles.elastic(size, steps, 2, 0.8)
    )
