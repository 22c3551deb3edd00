"""Equal learners, no network cost: every strategy follows its recursion, for 1 to 17 learners."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.support import mixing_oracles, oracles, recursion_trial

SIZES = range(1, 18)
STEPS = 9
Oracle = Callable[[int], NDArray[np.float64]]

CASES: dict[str, tuple[str, dict[str, Any], Oracle]] = {
    "single": ("single", {}, lambda size: oracles.single(size, STEPS)),
    "sc-allreduce": ("sc-allreduce", {}, lambda size: oracles.synchronous(size, STEPS)),
    "sc-allreduce, small buckets": (
        "sc-allreduce",
        {"bucket_mb": 1e-6},
        lambda size: oracles.synchronous(size, STEPS),
    ),
    "sc-ps": ("sc-ps", {}, lambda size: oracles.synchronous(size, STEPS)),
    "sc-ps, 3 servers": ("sc-ps", {"servers": 3}, lambda size: oracles.synchronous(size, STEPS)),
    "ac-ps": ("ac-ps", {}, lambda size: oracles.server(size, STEPS)),
    "ac-ps, staleness-aware": (
        "ac-ps",
        {"staleness_aware": True},
        lambda size: oracles.server(size, STEPS, True),
    ),
    "delay-by-one": (
        "delay-by-one",
        {},
        lambda size: oracles.decentralized(size, STEPS, mixing_oracles.mixing("uniform", size)),
    ),
    "bmuf": ("bmuf", {"tau": 4}, lambda size: oracles.bmuf(size, STEPS, 4, 1 - 1 / size, 1.0, False)),
    "bmuf, Nesterov": (
        "bmuf",
        {"tau": 3, "eta": 0.7, "zeta": 0.9, "nesterov": True},
        lambda size: oracles.bmuf(size, STEPS, 3, 0.7, 0.9, True),
    ),
    "local": ("local", {"tau": 4}, lambda size: oracles.local(size, STEPS, 4)),
    "post-local": (
        "post-local",
        {"tau": 3, "switch": 5},
        lambda size: oracles.local(size, STEPS, 3, switch=5),
    ),
    "easgd": ("easgd", {"tau": 2, "beta": 0.8}, lambda size: oracles.elastic(size, STEPS, 2, 0.8)),
    "slowmo": (
        "slowmo",
        {"tau": 3, "alpha": 0.9, "beta": 0.5},
        lambda size: oracles.slow_momentum(
            size, STEPS, 3, 0.9, 0.5, lambda w, k: w - oracles.A * oracles.g(w, k)
        ),
    ),
    "slowmo over sd": (
        "slowmo",
        {"inner": "sd", "tau": 3, "mixing": "random-ring"},
        lambda size: oracles.slow_momentum(
            size,
            STEPS,
            3,
            1.0,
            0.0 if size < 3 else 0.2 if size < 5 else 0.5 if size < 9 else 0.6,
            lambda w, k: mixing_oracles.mixing("random-ring", size)(k) @ w - oracles.A * oracles.g(w, k),
        ),
    ),
    "slowmo over local": (
        "slowmo",
        {"inner": "local", "tau": 4, "inner_tau": 2, "beta": 0.5},
        lambda size: oracles.slow_momentum(
            size,
            STEPS,
            4,
            1.0,
            0.5,
            lambda w, k: (oracles.mean if k % 2 else np.array)(w - oracles.A * oracles.g(w, k)),
        ),
    ),
    "sgp": ("sgp", {}, lambda size: oracles.push_sum(size, STEPS)),
    "gossip-pga": (
        "gossip-pga",
        {"period": 4},
        lambda size: oracles.periodic(size, STEPS, mixing_oracles.mixing("ring", size), 4),
    ),
    "diloco": ("diloco", {"period": 4}, lambda size: oracles.diloco(size, STEPS, 4)),
    "streaming-diloco": (
        "streaming-diloco",
        {"period": 5, "fragments": 3, "overlap": 2, "blend": 0.3},
        lambda size: oracles.diloco(size, STEPS, 5, 3, 2, 0.3),
    ),
}


def decentralized(kind: str, order: str, size: int) -> np.ndarray:
    return oracles.decentralized(size, STEPS, mixing_oracles.mixing(kind, size, 5), order)


def asynchronous(kind: str, size: int) -> np.ndarray:
    return oracles.asynchronous(size, STEPS, mixing_oracles.mixing(kind, size, 5))


for kind in ("ring", "random-ring", "random-pairs", "uniform", "exponential"):
    options = {"mixing": kind, "seed": 5}
    for order in ("mix-then-update", "update-then-mix"):
        CASES[f"sd, {kind}, {order}"] = (
            "sd",
            options | {"order": order},
            partial(decentralized, kind, order),
        )
    for strategy in ("ad", "h-ad"):  # one learner a node
        CASES[f"{strategy}, {kind}"] = (
            strategy,
            options,
            partial(asynchronous, kind),
        )


@pytest.mark.parametrize("case", CASES)
def test_a_strategy_follows_its_recursion(case: str) -> None:
    strategy, options, oracle = CASES[case]
    for size in SIZES:
        result = recursion_trial.run(strategy, size, STEPS, **options)
        np.testing.assert_allclose(
            result.weights, oracle(size), rtol=0, atol=1e-12, err_msg=f"{size} learners"
        )
        if size in (1, 4, 5):
            rough = recursion_trial.run(strategy, size, STEPS, dtype=torch.float32, **options)
            np.testing.assert_allclose(rough.weights, oracle(size), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("nodes", "per_node"), [(1, 4), (2, 2), (3, 2), (5, 3), (4, 4)])
def test_h_ad_is_ad_of_super_learners(nodes: int, per_node: int) -> None:
    result = recursion_trial.run(
        "h-ad", nodes * per_node, STEPS, cluster=recursion_trial.cluster_of(per_node)
    )
    expected = oracles.hierarchical(nodes, per_node, STEPS, mixing_oracles.mixing("ring", nodes))
    np.testing.assert_allclose(result.weights, expected, rtol=0, atol=1e-12)
