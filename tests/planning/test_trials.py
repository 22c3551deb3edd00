"""Trainings in virtual time that are kept: exactly what `dasr simulate` gives on that cluster."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dasr import config as configuration
from dasr.config import Run
from dasr.errors import UserError
from dasr.planning import kept, trials, workloads
from dasr.planning.simulate import simulate
from dasr.planning.timing_task import Anatomy, TimingTask, equal_slices
from dasr.planning.trials import Lab
from dasr.worlds.simulated.clusters import Cluster, Compute, Death, Link
from dasr.worlds.simulated.simulation import Simulation
from tests.support.aligned_corpus import small_config

HERE = Cluster(
    name="here",
    learners_per_node=1,
    between=Link(gbit_s=0.001, latency_us=300),
    compute=Compute(fixed_s=0.002, per_sample_s=1e-4, jitter=0.2),
    store_us=40,
)


@pytest.fixture(scope="module")
def config_path(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "config.yaml"
    path.write_text(small_config(corpus, epochs=1).text())
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in the processes of a plan."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def lab(config_path: Path, tmp_path: Path) -> Lab:
    return trials.lab_of(config_path, tmp_path / "trainings")


def run_of(strategy: str, seed: int = 1, **options: Any) -> Run:
    return Run(strategy, tuple(options.items()), 2, 12, seed)


@pytest.mark.parametrize(
    "run",
    [
        run_of("sc-allreduce"),
        run_of("sd"),
        run_of("bmuf", tau=3),
        run_of("ad"),
        run_of("sd", seed=2, mixing="random-pairs"),
    ],
    ids=lambda run: run.name,
)
def test_a_planned_run_is_the_one_that_is_simulated_on_that_cluster(
    run: Run, lab: Lab, config_path: Path
) -> None:
    planned = lab.outcome(run, HERE)
    workload = dataclasses.replace(
        workloads.corpus(config_path, run.batch, run.seed, trials.UTTERANCES), local_losses=False
    )
    direct = simulate(
        run.strategy, lab.budget(run), HERE, options=dict(run.options), seed=run.seed, workload=workload
    )
    assert planned.loss == [point["loss"] for point in direct.curve]
    assert planned.seconds == pytest.approx([point["seconds"] for point in direct.curve], rel=1e-12)
    assert planned.mb_sent == direct.mb_sent_per_learner
    assert planned.wait_fraction == pytest.approx(direct.wait_fraction, abs=1e-12)
    assert planned.trained == (run.strategy == "ad")


def test_a_synchronous_run_is_trained_once_for_all_clusters_and_an_asynchronous_one_on_each(lab: Lab) -> None:
    fast = dataclasses.replace(HERE, name="fast", between=Link())
    pairs = [(run_of(name), cluster) for name in ("sd", "ad") for cluster in (HERE, fast)]
    slow_sd, fast_sd, slow_ad, fast_ad = (lab.outcome(*pair) for pair in pairs)
    assert slow_sd.loss == fast_sd.loss and slow_sd.seconds[-1] > fast_sd.seconds[-1]
    assert slow_ad.loss != fast_ad.loss
    records = [json.loads(path.read_text()) for path in lab.folder.iterdir()]
    assert sorted(one["strategy"] for one in records if "anatomy" in one) == ["ad", "ad", "sd"]


def test_what_is_kept_is_not_simulated_again_and_anything_else_is(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("sd")
    first = lab.outcome(run, HERE)
    monkeypatch.setattr(trials, "simulate", None)
    assert lab.outcome(run, HERE) == first
    with pytest.raises(TypeError):
        lab.outcome(dataclasses.replace(run, seed=5), HERE)
    with pytest.raises(TypeError):
        dataclasses.replace(lab, base="another corpus").outcome(run, HERE)


@pytest.mark.slow
def test_processes_give_what_one_gives(lab: Lab, config_path: Path, tmp_path: Path) -> None:
    pairs = [(run_of("sd"), HERE), (run_of("ad"), HERE)]
    other = trials.lab_of(config_path, tmp_path / "other")
    assert list(lab.outcomes(pairs, jobs=2)) == list(other.outcomes(pairs, jobs=1))


def test_a_run_that_cannot_go_on_has_no_curve_but_a_reason(lab: Lab) -> None:
    broken = dataclasses.replace(HERE, deaths=(Death(1, 0.0),))
    found = lab.outcome(run_of("sd"), broken)
    assert "learner 1 died" in found.failed and found.loss == []


def test_a_training_whose_loss_is_not_finite_is_kept_with_the_reason(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(*arguments: Any, **more: Any) -> None:
        raise UserError("the loss is nan")

    monkeypatch.setattr(trials, "simulate", diverging)
    run = run_of("sd")
    found = lab.outcome(run, HERE)
    assert (found.failed, found.loss, found.seconds) == ("the loss is nan", [], [])
    monkeypatch.setattr(trials, "simulate", None)
    assert lab.final_losses([(run, HERE)], 1, "t") == [math.inf]


def test_the_anatomy_of_a_task_is_its_shapes_and_the_order_of_its_gradient(config_path: Path) -> None:
    workload = workloads.corpus(config_path, 12, 0)
    world = Simulation(HERE, 2).worlds[0]
    assert workload.task is not None
    task = workload.task(world, 12, 0)
    anatomy = Anatomy.of(task)
    assert anatomy.parameters == task.num_parameters == sum(b - a for a, b in anatomy.parts)
    assert anatomy.parts[0][1] == anatomy.parameters, "the last layers come first"
    assert TimingTask(anatomy).shapes == anatomy.shapes
    assert TimingTask(100).anatomy == equal_slices(100)


@pytest.mark.slow
def test_a_plan_that_is_killed_at_any_moment_goes_on_to_the_same_answer(
    config_path: Path, tmp_path: Path
) -> None:
    results = configuration.load(config_path).results
    command = [sys.executable, "-m", "dasr", "plan", "--config", str(config_path), "--cluster", "ethernet-1g"]
    command += ["--seeds", "1", "--no-what-if", "--step-seconds", "0.01"]
    answer = Path(results) / "plan" / "plan.json"
    trainings = answer.parent / "trainings"
    for kept_files in (1, 3):  # killed when so many are there
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(trainings.glob("*.json"))) < kept_files:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert not answer.exists()
    subprocess.run(command, check=True, capture_output=True)
    resumed = answer.read_text()
    assert all(kept.read(path) for path in trainings.glob("*.json"))
    for path in trainings.iterdir():
        path.unlink()
    subprocess.run(command, check=True, capture_output=True)
    assert answer.read_text() == resumed
