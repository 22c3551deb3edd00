"""Whole runs on real processes: what they leave, and that stopping and resuming changes nothing."""

import functools
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dasr.planning import workloads
from dasr.planning.simulate import simulate
from dasr.results.records import has_diverged
from dasr.tasks.data import AlignedShards
from dasr.training import plan, snapshots
from dasr.training.heldout import HeldOut, evaluate
from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.simulated import presets
from tests.support import lives
from tests.support.aligned_corpus import small_config

pytestmark = pytest.mark.slow  # eleven training lives in a row: about a minute of CPU time


@pytest.fixture(scope="module")
def lived(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs of `lives.all_lives`, by two learner processes."""
    root = tmp_path_factory.mktemp("lives")
    for name in ("undisturbed", "stopped", "averaged"):
        (root / name).mkdir()
        for part in ("features", "alignments"):
            (root / name / part).symlink_to(corpus / part)
    ended = run_processes(2, functools.partial(lives.all_lives, root=root))
    assert ended == [[True, False, True] * len(lives.SYNCHRONOUS) + [False, True] * 2] * 2
    return root


@pytest.mark.parametrize("strategy", lives.SYNCHRONOUS)
def test_a_run_stopped_and_resumed_ends_with_the_bits_of_one_never_stopped(
    lived: Path, strategy: str
) -> None:
    undisturbed, resumed = (lives.weights(lived / name, strategy) for name in ("undisturbed", "stopped"))
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


def test_a_checkpoint_of_another_version_is_refused_in_a_line(corpus: Path, tmp_path: Path) -> None:
    for part in ("features", "alignments"):
        (tmp_path / part).symlink_to(corpus / part)
    errors = run_processes(2, functools.partial(lives.of_another_version, root=tmp_path))
    for rank, error in enumerate(errors):
        assert re.match(rf"a checkpoint in .*rank000{rank} has no 'mean': another version of dasr", error)


@pytest.mark.parametrize("strategy", lives.SYNCHRONOUS)
def test_metrics_of_a_resumed_run_have_each_step_once(lived: Path, strategy: str) -> None:
    plain, resumed = (
        # The machine's own state is written by the clock, not by the step.
        [record for record in lives.records(lived / name, strategy) if record["kind"] != "system"]
        for name in ("undisturbed", "stopped")
    )
    keys = (
        "kind",
        "step",
        "samples",
        "loss",
        "learning_rate",
        "rank",
        "frames",
        "bytes_sent",
        "mixes",
        "staleness",
    )
    assert [[r.get(key) for key in keys] for r in plain] == [[r.get(key) for key in keys] for r in resumed]


def test_the_model_is_the_mean_of_the_learners_last_snapshots(lived: Path) -> None:
    run_dir = lived / "undisturbed" / "runs" / "sd-L2-B12-S0"
    assert snapshots.points(run_dir) == [1, 2, 3]
    last = snapshots.read(run_dir, 3)
    mean = (last[0].weights + last[1].weights) / 2
    model = torch.cat([tensor.reshape(-1) for tensor in lives.weights(lived / "undisturbed", "sd").values()])
    torch.testing.assert_close(model, mean)
    assert not torch.equal(last[0].weights, last[1].weights)


def test_with_an_average_the_model_is_the_mean_of_the_last_snapshots_of_all_learners(lived: Path) -> None:
    run_dir = lived / "undisturbed" / "runs" / "sd-L2-B12-S0"
    last = [each.weights.numpy() for point in (2, 3) for each in snapshots.read(run_dir, point)]
    model = torch.cat([tensor.reshape(-1) for tensor in lives.weights(lived / "averaged", "sd").values()])
    np.testing.assert_allclose(model.numpy(), np.mean(last, axis=0), rtol=1e-6, atol=1e-7)


def test_an_asynchronous_run_computes_its_whole_budget_over_both_parts_of_its_life(lived: Path) -> None:
    records = lives.records(lived / "stopped", "ad")
    summary = records[-1]
    done = [record["samples"] for record in records if record["kind"] == "learner"]
    assert summary["kind"] == "summary" and sum(done) == summary["samples"]


def test_held_out_loss_falls_and_is_written_a_line_a_snapshot(lived: Path, corpus: Path) -> None:
    config = small_config(corpus)
    data = AlignedShards.of(config, "dev")
    run_dir = lived / "undisturbed" / "runs" / "sc-allreduce-L2-B12-S0"
    evaluate(HeldOut(data.model(config), list(data.utterances())), run_dir, seed=0)
    lines = [json.loads(line) for line in (run_dir / "heldout.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["heldout"] * 3
    assert lines[-1]["ce"] < lines[0]["ce"] < 1.7  # ln 5 = 1.61 at the start
    assert lines[-1]["consensus_distance"] == 0.0
    _, counts = np.unique(torch.cat([labels for _, labels in data.utterances()]), return_counts=True)
    shares = counts / counts.sum()
    assert lines[0]["priors_ce"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert 1.5 < lines[0]["start_ce"] < 2.0 and not has_diverged(lines)


@pytest.mark.parametrize("strategy", lives.SYNCHRONOUS)
def test_a_simulated_run_of_the_corpus_ends_with_the_bits_of_the_real_one(
    lived: Path, tmp_path: Path, strategy: str
) -> None:
    config = small_config(lived / "undisturbed", snapshots=3)
    path = tmp_path / "config.yaml"
    path.write_text(config.text())
    workload, training = workloads.corpus(path, 12, 0), config.training
    data = AlignedShards.of(config, "train")
    chunks = data.feed(data.model(config), 7, 6, 0, 2, 0).num_chunks
    budget = plan.budget(training, chunks, 12, 2)
    name, *option = strategy.split("-tau=")
    simulated = simulate(
        name,
        budget,
        presets.load("ideal"),
        options={"tau": int(option[0])} if option else {},
        workload=replace(workload, evaluate=None),
    )
    last = snapshots.read(lived / "undisturbed" / "runs" / f"{strategy}-L2-B12-S0", 3)
    real = hashlib.sha256(b"".join(one.weights.numpy().tobytes() for one in last))
    assert simulated.weights_sha256 == real.hexdigest()
