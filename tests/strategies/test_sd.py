"""`sd` against its recursion, written out in NumPy."""

from __future__ import annotations

import pytest

from tests.support import mixing_oracles, oracles, recursion_trial


@pytest.mark.parametrize("kind", ["ring", "random-ring", "random-pairs", "uniform", "exponential"])
@pytest.mark.parametrize("order", ["mix-then-update", "update-then-mix"])
def test_neighbours_are_mixed_by_the_matrix_of_the_step(kind: str, order: str) -> None:
    recursion_trial.follows(
        "sd",
        {"mixing": kind, "seed": 5, "order": order},
        lambda size, steps: oracles.decentralized(size, steps, mixing_oracles.mixing(kind, size, 5), order),
    )
