"""`diloco` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_an_outer_nesterov_step_follows_every_period_of_inner_steps() -> None:
    recursion_trial.follows("diloco", {"period": 4}, lambda size, steps: oracles.diloco(size, steps, 4))
