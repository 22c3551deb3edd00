"""Strategies on clusters that are only described."""

from __future__ import annotations

import pytest

from dasr.planning.simulate import simulate
from dasr.worlds.simulated import clusters
from dasr.worlds.simulated.clusters import Compute, Slow


def test_one_learner_ten_times_slower_costs_ad_its_own_share_and_all_reduce_everything() -> None:
    cluster = clusters.Cluster(
        compute=Compute(fixed_s=1.0), slow=(Slow(3, 10.0),), between=clusters.Link(100, 20)
    )
    ad = simulate("ad", 8, 400, cluster, parameters=1_000_000)
    together = simulate("sc-allreduce", 8, 40, cluster, parameters=1_000_000)
    assert ad.speedup >= 0.85 * (7 + 0.1)
    assert together.speedup == pytest.approx(8 * 0.1, rel=0.01)
