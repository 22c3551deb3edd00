"""`delay-by-one` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import mixing_oracles, oracles, recursion_trial


def test_models_are_averaged_while_each_learner_computes_at_its_own() -> None:
    recursion_trial.follows(
        "delay-by-one",
        {},
        lambda size, steps: oracles.decentralized(size, steps, mixing_oracles.mixing("uniform", size)),
    )
