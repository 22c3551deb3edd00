"""What simulated learners train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dasr.learner import recipe
from dasr.planning import workloads
from dasr.tasks.data import AlignedShards
from dasr.tasks.task import Quadratic
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.simulation import Simulation
from tests.support.aligned_corpus import small_config


def test_the_quadratic_has_its_excess_loss_and_counts_as_large_as_the_model() -> None:
    workload = workloads.quadratic(rate=0.3, parameters=640, dimension=64)
    assert workload.task is not None and workload.evaluate is not None
    assert workload.evaluate(torch.full((64,), 2.0)) == pytest.approx(128.0)
    rate, _ = workload.recipe("sd", 2)
    assert (rate(0), rate(10_000), workload.bytes_scale) == (0.3, 0.3, 10)
    world = Simulation(presets.load("ideal"), 2).worlds[1]
    task = workload.task(world, 8, 5)
    assert isinstance(task, Quadratic) and task.num_parameters == 64


def test_the_corpus_starts_at_the_entropy_of_a_model_that_knows_nothing(corpus: Path, tmp_path: Path) -> None:
    config = small_config(corpus)
    path = tmp_path / "config.yaml"
    path.write_text(config.text())
    workload = workloads.corpus(path, batch=12, seed=0, utterances=3)
    model = AlignedShards.of(config, "train").model(config)
    zeros = torch.zeros(sum(parameter.numel() for parameter in model.parameters()))
    states = AlignedShards.of(config, "train").num_pdfs
    assert workload.evaluate is not None
    assert workload.evaluate(zeros) == pytest.approx(float(torch.tensor(float(states)).log()), rel=1e-5)
    _, make_optimizer = workload.recipe("sc-allreduce", 2)
    assert workload.average == 1
    wider = workloads.corpus(path, batch=12, seed=0, utterances=3, changes={"average": 4})
    assert wider.average == 8  # of 20 points, as 4 of 10 snapshots
    assert make_optimizer(zeros).clip == recipe.clip_of(config.training, "sc-allreduce", 12, 2)
