"""For any speeds, network and order of arrival: no deadlock, no update lost or doubled, the mean kept."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.strategies import registry
from dasr.worlds.simulated.clusters import Cluster, Compute, Death, Link, Slow
from tests.support import recursion_trial

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in registry.names()),
    *(
        (name, {"mixing": mixing})
        for name in ("sd", "ad", "h-ad")
        for mixing in ("random-ring", "random-pairs", "uniform", "exponential")
    ),
    ("ad", {"pace": 0.01}),
    ("ad", {"pace": 0.01, "order": "update-then-mix"}),
    ("ad", {"mixing": "uniform", "order": "update-then-mix"}),
    ("sc-ps", {"servers": 3}),
    ("ac-ps", {"servers": 2, "staleness_aware": True}),
    ("slowmo", {"inner": "sgp", "tau": 3}),
    ("streaming-diloco", {"period": 4, "overlap": 3}),
]
KEEP_THE_MEAN = {"sd", "ad", "h-ad", "gossip-pga", "sgp", "delay-by-one", "local", "post-local"}


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Any network, any jitter, any slow learners."""
    latency = draw(st.sampled_from([0.0, 10.0, 1e5, 3e6]))
    link = Link(gbit_s=draw(st.sampled_from([1e-7, 1e-6, 1.0, np.inf])), latency_us=latency)
    slow = draw(st.dictionaries(st.integers(0, 16), st.sampled_from([0.3, 2.0, 10.0, 100.0]), max_size=4))
    return Cluster(
        learners_per_node=draw(st.integers(1, 5)),
        inside=Link(gbit_s=1e-4),
        between=link,
        store_us=draw(st.sampled_from([0.0, 50.0])),
        compute=Compute(fixed_s=1.0, jitter=draw(st.sampled_from([0.0, 0.3]))),
        slow=tuple(Slow(rank, factor) for rank, factor in slow.items()),
    )


@pytest.mark.parametrize(("strategy", "options"), VARIANTS, ids=str)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_gradient_is_applied_once_and_mixing_conserves_the_mean_for_any_timing(
    strategy: str, options: dict[str, Any], data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 5 if options.get("pace") == 0.01 else 17))
    recorders: list[recursion_trial.Recorder] = []

    def recorder(weights: Any) -> recursion_trial.Recorder:
        recorders.append(recursion_trial.Recorder(weights))
        return recorders[-1]

    result = recursion_trial.run(
        strategy, size, 4, cluster=data.draw(clusters()), optimizer_=recorder, world_seed=size, **options
    )
    assert sum(learner.task.steps for learner in result.learners) == 4 * size  # type: ignore[attr-defined]
    applied = sum(sum(learner.world.accounts.staleness.values()) for learner in result.learners)
    assert applied == sum(learner.steps for learner in result.learners)
    if strategy != "h-ad":  # there a node shares its last batches
        assert applied == 4 * size
    start = recursion_trial.start(7)
    moved = np.stack([np.sum(one.updates, axis=0) if one.updates else 0 * start for one in recorders])
    if strategy in KEEP_THE_MEAN:  # of super-learners, in h-ad: a column a node
        nodes = list(result.learners[0].world.nodes)
        columns = [nodes.index(node) for node in set(nodes)] if strategy == "h-ad" else slice(None)
        expected = start + moved[columns].mean(axis=0)
        np.testing.assert_allclose(result.weights[columns].mean(axis=0), expected, rtol=0, atol=1e-12)
    if strategy == "ac-ps" and not options.get("staleness_aware"):
        expected = np.tile(start + moved.sum(axis=0), (size, 1))
        np.testing.assert_allclose(result.weights, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("strategy", ["ad", "h-ad"])
def test_nobody_spends_the_budget_before_the_last_learner_is_there(strategy: str) -> None:
    """Slow imports, a slow file system: learner 2 comes when the others could have finished long ago."""
    result = recursion_trial.run(strategy, 4, 10, late={2: 1000.0})
    assert [learner.steps for learner in result.learners] == [10] * 4
    assert all(learner.world.accounts.mixes > 0 for learner in result.learners)


@pytest.mark.parametrize("strategy", ["ad", "h-ad"])
def test_nobody_waits_for_a_learner_that_dies_before_it_is_there(strategy: str) -> None:
    dead = recursion_trial.cluster_of(deaths=(Death(2, 5.0),))
    result = recursion_trial.run(strategy, 4, 10, cluster=dead, late={2: 1000.0})
    assert sum(learner.steps for learner in result.learners) == 40
    assert result.seconds < 5 + recursion_trial.SECOND.detect_s + 40 / 3 + 2


BITS = """
import sys
from tests.strategies.test_timing import hashes
print(hashes())
"""


def hashes() -> str:
    """One hash over a run of every strategy on a network with jitter, slow links and learners."""
    cluster = Cluster(
        learners_per_node=2,
        between=Link(gbit_s=1e-6, latency_us=100.0),
        compute=Compute(fixed_s=1.0, jitter=0.3),
        slow=(Slow(1, 5.0),),
        store_us=10.0,
    )
    digest = hashlib.sha256()
    for strategy, options in VARIANTS:
        digest.update(recursion_trial.run(strategy, 5, 4, cluster=cluster, **options).hash.encode())
    return digest.hexdigest()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_in_this_process_and_in_another() -> None:
    other = subprocess.run([sys.executable, "-c", BITS], capture_output=True, text=True, check=True)
    assert hashes() == hashes() == other.stdout.strip()
