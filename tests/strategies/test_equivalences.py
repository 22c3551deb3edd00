"""Strategies that are one another's special cases give the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dasr.worlds.simulated.clusters import Cluster, Compute, Link, Slow
from tests.support import recursion_trial

Variant = tuple[str, dict[str, Any]]


def equal(left: recursion_trial.Result, right: recursion_trial.Result) -> None:
    np.testing.assert_allclose(left.weights, right.weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 13])
@pytest.mark.parametrize("servers", [1, 2, 5])
def test_sc_ps_is_sc_allreduce_is_one_learner_with_the_whole_batch(size: int, servers: int) -> None:
    together = recursion_trial.run("sc-allreduce", size, 7, share=2)
    equal(recursion_trial.run("sc-ps", size, 7, share=2, servers=servers), together)
    alone = recursion_trial.run("single", 1, 7, share=2 * size)
    np.testing.assert_allclose(together.weights, np.tile(alone.weights, (size, 1)), rtol=0, atol=1e-12)


SAME: list[tuple[Variant, Variant]] = [
    (("bmuf", {"eta": 0.0, "tau": 4}), ("local", {"tau": 4})),
    (("local", {"tau": 1}), ("sc-allreduce", {})),
    (("post-local", {"switch": 100}), ("sc-allreduce", {})),
    (("post-local", {"switch": 0, "tau": 3}), ("local", {"tau": 3})),
    (("sgp", {"graph": "complete"}), ("sc-allreduce", {})),
    (("sd", {"mixing": "uniform", "order": "update-then-mix"}), ("sc-allreduce", {})),
    (("sd", {"mixing": "uniform"}), ("delay-by-one", {})),
    (("ad", {"mixing": "uniform", "order": "update-then-mix"}), ("sc-allreduce", {})),
    (("gossip-pga", {"period": 100}), ("sd", {"order": "update-then-mix"})),
    (("gossip-pga", {"period": 1}), ("sc-allreduce", {})),
    (("slowmo", {"inner": "single", "beta": 0.0, "tau": 4}), ("local", {"tau": 4})),
    (("slowmo", {"inner": "sc-allreduce", "beta": 0.0, "tau": 1}), ("sc-allreduce", {})),
    (
        ("streaming-diloco", {"fragments": 1, "overlap": 0, "blend": 0.0, "period": 4}),
        ("diloco", {"period": 4}),
    ),
    (("diloco", {"outer_rate": 1.0, "outer_momentum": 0.0, "period": 4}), ("local", {"tau": 4})),
]


@pytest.mark.parametrize(("left", "right"), SAME, ids=str)
def test_one_strategy_is_the_other(left: Variant, right: Variant) -> None:
    for size in (1, 2, 5, 8):
        make = recursion_trial.Recorder  # plain SGD in both
        equal(
            recursion_trial.run(left[0], size, 8, optimizer_=make, **left[1]),
            recursion_trial.run(right[0], size, 8, optimizer_=make, **right[1]),
        )


def test_h_ad_on_one_node_is_sc_allreduce() -> None:
    for size in (1, 3, 8):
        equal(
            recursion_trial.run("h-ad", size, 8, cluster=recursion_trial.cluster_of(size)),
            recursion_trial.run("sc-allreduce", size, 8, cluster=recursion_trial.cluster_of(size)),
        )


@pytest.mark.parametrize("mixing", ["ring", "random-ring", "random-pairs", "exponential"])
def test_h_ad_with_one_learner_a_node_is_ad_for_any_timing(mixing: str) -> None:
    cluster = Cluster(
        between=Link(gbit_s=1e-5, latency_us=50.0),
        compute=Compute(fixed_s=1.0, jitter=0.2),
        slow=(Slow(2, 7.0),),
    )
    for size in (2, 5, 9):
        ad, h_ad = (
            recursion_trial.run(name, size, 6, cluster=cluster, mixing=mixing) for name in ("ad", "h-ad")
        )
        assert [one.steps for one in ad.learners] == [one.steps for one in h_ad.learners]
        equal(ad, h_ad)
