"""`slowmo` against its recursion, written out in NumPy."""

from __future__ import annotations

import numpy as np

from tests.support import mixing_oracles, oracles, recursion_trial


def test_over_local_steps() -> None:
    recursion_trial.follows(
        "slowmo",
        {"tau": 3, "alpha": 0.9, "beta": 0.5},
        lambda size, steps: oracles.slow_momentum(
            size, steps, 3, 0.9, 0.5, lambda w, k: w - oracles.A * oracles.g(w, k)
        ),
    )


def test_over_sd_with_the_momentum_that_fits_the_number_of_learners() -> None:
    recursion_trial.follows(
        "slowmo",
        {"inner": "sd", "tau": 3, "mixing": "random-ring"},
        lambda size, steps: oracles.slow_momentum(
            size,
            steps,
            3,
            1.0,
            0.0 if size < 3 else 0.2 if size < 5 else 0.5 if size < 9 else 0.6,
            lambda w, k: mixing_oracles.mixing("random-ring", size)(k) @ w - oracles.A * oracles.g(w, k),
        ),
    )


def test_over_local_with_a_period_of_its_own() -> None:
    recursion_trial.follows(
        "slowmo",
        {"inner": "local", "tau": 4, "inner_tau": 2, "beta": 0.5},
        lambda size, steps: oracles.slow_momentum(
            size,
            steps,
            4,
            1.0,
            0.5,
            lambda w, k: (oracles.mean if k % 2 else np.array)(w - oracles.A * oracles.g(w, k)),
        ),
    )
