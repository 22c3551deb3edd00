"""`post-local` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_it_is_synchronous_up_to_the_switch_and_local_sgd_from_there() -> None:
    recursion_trial.follows(
        "post-local", {"tau": 3, "switch": 5}, lambda size, steps: oracles.local(size, steps, 3, switch=5)
    )
