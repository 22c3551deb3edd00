"""`single` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_it_is_plain_sgd() -> None:
    recursion_trial.follows("single", {}, lambda size, steps: oracles.single(size, steps))
