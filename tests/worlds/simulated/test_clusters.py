"""Descriptions of clusters: what is written is read again, and a mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.planning.calibration import fit
from dasr.planning.probe import sizes
from dasr.planning.simulate import simulate
from dasr.worlds.simulated import clusters
from dasr.worlds.simulated.clusters import Compute, Slow
from dasr.worlds.simulated.presets import PRESETS


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_every_preset_survives_a_file(tmp_path: Path, ending: str) -> None:
    for name, cluster in PRESETS.items():
        clusters.save(cluster, tmp_path / f"{name}.{ending}")
        assert clusters.load(tmp_path / f"{name}.{ending}") == cluster


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("inside: {gbits: 3}", r"unknown key 'gbits' at inside; did you mean 'gbit_s'"),
        ("learner_per_node: 3", r"did you mean 'learners_per_node'"),
        ("slow: [{rank: 1}]", r"slow.0: the key 'factor' is missing"),
        ("between: {gbit_s: fast}", r"between.gbit_s: 'fast' is not a number"),
        ("between: {gbit_s: 0}", r"between.gbit_s: 0 must be above 0"),
        ("all_reduce: rin", r"all_reduce: 'rin' is not one of ring, hierarchical, best; did you mean 'ring'"),
        ("compute: {fixed_s: .nan}", r"compute.fixed_s: nan is"),
        ("compute: {fixed_s: .inf}", r"compute.fixed_s: inf is"),
        ("compute_slowdown: 0.5", r"compute_slowdown: 0.5 is below the minimum of 1"),
        ("message_slowdwn: 2", r"did you mean 'message_slowdown'"),
        ("slow: [{rank: 1, factor: 2, from_s: 3, until_s: 1}]", r"slow.0: until_s must not be before from_s"),
        ("learners_per_node: 2\nname: x\nlearners_per_node: 3", r"given twice, in lines 1 and 3"),
        ("[1, 2", r"not YAML"),
    ],
)
def test_a_mistake_in_a_description_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        clusters.load(tmp_path / "c.yaml")


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'ethernet-10g'"):
        clusters.load("ethernet-10")


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
    cluster = fit("c", [probe] * 4, Compute(fixed_s=0.1), [0, 1, 2, 3], "")
    assert (cluster.between.gbit_s, cluster.between.latency_us) == pytest.approx((0.4, 300))
    assert (cluster.between.burst_bytes, cluster.flow_contention) == (65536, 1.25)
    assert cluster.collectives is not None
    assert (cluster.collectives.gbit_s, cluster.collectives.latency_us) == pytest.approx((0.32, 100))


def test_one_learner_ten_times_slower_costs_ad_its_own_share_and_all_reduce_everything() -> None:
    cluster = clusters.Cluster(
        compute=Compute(fixed_s=1.0), slow=(Slow(3, 10.0),), between=clusters.Link(100, 20)
    )
    ad = simulate("ad", 8, 400, cluster, parameters=1_000_000)
    together = simulate("sc-allreduce", 8, 40, cluster, parameters=1_000_000)
    assert ad.speedup >= 0.85 * (7 + 0.1)
    assert together.speedup == pytest.approx(8 * 0.1, rel=0.01)
