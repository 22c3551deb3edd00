"""`local` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_models_are_averaged_after_every_tau_local_steps() -> None:
    recursion_trial.follows("local", {"tau": 4}, lambda size, steps: oracles.local(size, steps, 4))
