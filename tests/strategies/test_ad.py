"""`ad` against its recursion, written out in NumPy."""

from __future__ import annotations

import pytest

from tests.support import mixing_oracles, oracles, recursion_trial


@pytest.mark.parametrize("kind", ["ring", "random-ring", "random-pairs", "uniform", "exponential"])
def test_gradients_are_those_of_the_weights_when_they_began_and_mixing_goes_on(kind: str) -> None:
    recursion_trial.follows(
        "ad",
        {"mixing": kind, "seed": 5},
        lambda size, steps: oracles.asynchronous(size, steps, mixing_oracles.mixing(kind, size, 5)),
    )
