"""`h-ad` against its recursion, written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import mixing_oracles, oracles, recursion_trial


@pytest.mark.parametrize("kind", ["ring", "random-ring", "random-pairs", "uniform", "exponential"])
def test_with_one_learner_a_node_it_is_ad(kind: str) -> None:
    recursion_trial.follows(
        "h-ad",
        {"mixing": kind, "seed": 5},
        lambda size, steps: oracles.asynchronous(size, steps, mixing_oracles.mixing(kind, size, 5)),
    )


@pytest.mark.parametrize(("nodes", "per_node"), [(1, 4), (2, 2), (3, 2), (5, 3), (4, 4)])
def test_it_is_ad_of_super_learners(nodes: int, per_node: int) -> None:
    cluster = recursion_trial.cluster_of(per_node)
    result = recursion_trial.run("h-ad", nodes * per_node, 9, cluster=cluster)
    expected = oracles.hierarchical(nodes, per_node, 9, mixing_oracles.mixing("ring", nodes))
    np.testing.assert_allclose(result.weights, expected, rtol=0, atol=1e-12)
