"""One text, two worlds: four gloo processes compute what virtual time computes."""

from __future__ import annotations

import numpy as np

from dasr.worlds.process.local_launch import run_processes
from tests.support import both_worlds, recursion_trial
from tests.support.both_worlds import ASYNCHRONOUS, DETERMINISTIC, DIMENSION, SIZE, STEPS


def test_deterministic_strategies_give_the_same_weights_in_both_worlds() -> None:
    ranks = run_processes(SIZE, both_worlds.deterministic)
    for number, (strategy, options) in enumerate(DETERMINISTIC):
        real = np.array([rank[number][0] for rank in ranks])
        simulated = recursion_trial.run(strategy, SIZE, STEPS, **options).weights
        # collectives may add in another order; 16-bit sums round there
        tolerance = 2e-2 if options.get("compression") in ("bf16", "fp16") else 1e-12
        np.testing.assert_allclose(real, simulated, rtol=0, atol=tolerance, err_msg=f"{strategy} {options}")


def test_on_real_processes_no_update_is_lost_or_doubled_and_mixing_conserves_the_mean() -> None:
    ranks = run_processes(SIZE, both_worlds.asynchronous, nodes=(0, 0, 1, 1))
    for number, (strategy, options) in enumerate(ASYNCHRONOUS):
        weights = np.array([rank[number][0] for rank in ranks])
        moved = np.array([rank[number][1] for rank in ranks])
        assert sum(rank[number][2] for rank in ranks) == SIZE * STEPS, strategy
        if strategy == "ac-ps":
            got, expected = weights, np.tile(recursion_trial.start(DIMENSION) + moved.sum(axis=0), (SIZE, 1))
        else:
            columns = [0, 2] if strategy == "h-ad" else [0, 1, 2, 3]  # a column a node
            got, expected = (
                weights[columns].mean(0),
                recursion_trial.start(DIMENSION) + moved[columns].mean(0),
            )
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12, err_msg=f"{strategy} {options}")
