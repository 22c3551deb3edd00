"""`bmuf` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_it_is_the_classical_filter_of_block_updates() -> None:
    recursion_trial.follows(
        "bmuf", {"tau": 4}, lambda size, steps: oracles.bmuf(size, steps, 4, 1 - 1 / size, 1.0, False)
    )


def test_with_nesterov_a_block_begins_ahead_of_the_model() -> None:
    options = {"tau": 3, "eta": 0.7, "zeta": 0.9, "nesterov": True}
    recursion_trial.follows("bmuf", options, lambda size, steps: oracles.bmuf(size, steps, 3, 0.7, 0.9, True))
