"""Descriptions of clusters from measured times."""

from __future__ import annotations

import pytest

from dasr.planning.calibration import fit
from dasr.planning.probe import sizes
from dasr.worlds.simulated.clusters import Compute


def test_calibration_finds_the_latency_and_rate_that_made_the_times() -> None:
    exchange = {n: 3e-4 + max(0, n - 65536) / 50e6 for n in sizes(1 << 24)}
    reduced = {n: 6 * (1e-4 + n / 4 / 40e6) for n in sizes(1 << 24)}
    probe = {
        "exchange": exchange,
        "all_reduce": reduced,
        "store": 5e-5,
        "store_busy": 1e-4,
        "compute_slowdown": 1.5,
        "compute_slowdown_jitter": 0.5,
        "message_slowdown": 1.25,
        "flow_contention": 1.25,
    }
    cluster = fit("c", [probe] * 4, Compute(fixed_s=0.1), [0, 1, 2, 3])
    assert (cluster.between.gbit_s, cluster.between.latency_us) == pytest.approx((0.4, 300))
    assert (cluster.between.burst_bytes, cluster.flow_contention) == (65536, 1.25)
    assert cluster.collectives is not None
    assert (cluster.collectives.gbit_s, cluster.collectives.latency_us) == pytest.approx((0.32, 100))
