"""`sgp` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_models_are_those_of_push_sum() -> None:
    recursion_trial.follows("sgp", {}, lambda size, steps: oracles.push_sum(size, steps))
