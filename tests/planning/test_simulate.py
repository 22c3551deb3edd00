"""Strategies on clusters that are only described."""

from __future__ import annotations

import pytest
import torch

from dasr.learner.learner import Budget
from dasr.planning.simulate import Snapshot, Workload, curve, simulate
from dasr.strategies.parts.compression import CODECS
from dasr.worlds.simulated import clusters, presets
from dasr.worlds.simulated.clusters import Compute, Slow


def test_one_learner_ten_times_slower_costs_ad_its_own_share_and_all_reduce_everything() -> None:
    cluster = clusters.Cluster(
        compute=Compute(fixed_s=1.0), slow=(Slow(3, 10.0),), between=clusters.Link(100, 20)
    )
    workload = Workload(parameters=1_000_000)
    ad = simulate("ad", Budget(400, 8, 8), cluster, workload=workload)
    together = simulate("sc-allreduce", Budget(40, 8, 8), cluster, workload=workload)
    assert ad.speedup >= 0.85 * (7 + 0.1)
    assert together.speedup == pytest.approx(8 * 0.1, rel=0.01)


@pytest.mark.parametrize("strategy", ["sc-allreduce", "sd", "sc-ps", "easgd"])
@pytest.mark.parametrize("compression", CODECS)
def test_every_codec_can_be_simulated_without_arithmetic(strategy: str, compression: str) -> None:
    said = compression if compression in ("fp32", "bf16", "fp16") else f"{compression},start=0"
    result = simulate(strategy, Budget(8, 4, 4), presets.load("ethernet-10g"), options={"compression": said})
    plain = simulate(strategy, Budget(8, 4, 4), presets.load("ethernet-10g"))
    assert compression == "fp32" or result.mb_sent_per_learner < 0.8 * plain.mb_sent_per_learner


def test_with_an_average_the_curve_is_of_the_mean_of_the_last_points() -> None:
    taken = [
        [Snapshot(8 * point, float(point), torch.tensor([10.0**point + rank])) for point in range(4)]
        for rank in (0, 2)
    ]
    workload = Workload(evaluate=lambda weights: float(weights[0]), average=3)
    losses = [point["loss"] for point in curve(taken, workload)]
    assert losses == pytest.approx([2.0, 6.5, 38.0, 371.0])  # means of 2, 11, 101 and 1001
