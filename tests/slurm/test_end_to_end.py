"""The literal `snakemake --profile slurm` in a fresh clone, and many runs at once."""

import csv
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.slurm.conftest import snakemake
from tests.support.slurm.cluster import Cluster
from tests.support.slurm.trial import Trial

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(1800)]
RUNS = ["sc-allreduce-L4-B32-S0", "sd-L4-B32-S0", "ad-L4-B32-S0"]


def test_a_fresh_clone_runs_every_stage_and_each_training_on_four_nodes(
    clone: Path, cluster: Cluster
) -> None:
    with open(clone / "results" / "comparison.tsv") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert sorted(row["strategy"] for row in rows) == ["ad", "sc-allreduce", "sd"]
    assert [row for row in rows if not 0 < float(row["wer_unigram"]) <= 100] == []
    assert [row for row in rows if not float(row["mb_sent_per_learner"]) > 0] == []
    for run in RUNS:
        assert cluster.accounted(f"dasr-{run}", "State,NNodes,AllocCPUS") == [["COMPLETED", "4", "4"]]
        places = {
            (clone / "results" / "runs" / run / "logs" / f"{rank}.log").read_text()[:40] for rank in range(4)
        }
        assert len({node for place in places for node in re.findall(r"on (n\d)", place)[:1]}) == 4
    with sqlite3.connect(clone / "results" / "mlflow" / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone()[0] == 4  # the comparison and its runs


def test_a_second_start_finds_everything_done_and_another_time_limit_retrains_nothing(
    clone: Path, cluster: Cluster
) -> None:
    assert "Nothing to be done" in snakemake(cluster, clone, "--set-resources", "train:runtime=77")


def test_one_stage_can_be_run_again(clone: Path, cluster: Cluster) -> None:
    said = snakemake(cluster, clone, "--dry-run", "-R", "decode")
    assert re.search(r"^decode +3$", said, re.MULTILINE)
    assert not re.search(r"^train ", said, re.MULTILINE)


def test_the_local_profile_trains_the_same_bits(clone: Path, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for name in ("corpus", "features", "alignments", "hmm"):
        (tmp_path / "results" / name).symlink_to(clone / "results" / name)
    config = yaml.safe_load((clone / "results" / "config.yaml").read_text())
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "dasr", "train", RUNS[0], "--cpus-per-task", "1"]
    environment = {**cluster.environment, "PYTHONPATH": str(clone)}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=300)
    trained = [folder / "results" / "runs" / RUNS[0] / "model.safetensors" for folder in (clone, tmp_path)]
    assert tensors(trained[0]) == tensors(trained[1])


def tensors(path: Path) -> dict[str, bytes]:
    from safetensors import safe_open

    with safe_open(str(path), "np") as model:
        return {name: model.get_tensor(name).tobytes() for name in model.keys()}  # noqa: SIM118


def test_twenty_runs_submitted_at_once_to_four_nodes_all_finish(
    clone: Path, cluster: Cluster, tmp_path: Path
) -> None:
    trials = [Trial(tmp_path / str(seed), clone, cluster, "sd", epochs=1, seed=seed) for seed in range(20)]
    try:
        heads = [trial.train() for trial in trials]
        for trial, head in zip(trials, heads, strict=True):
            assert trial.finish(head, within_s=1200) == 0, trial.head_log
            assert [state for _, state in trial.jobs()] == ["COMPLETED"]
    finally:
        for trial in trials:
            trial.clean_up()
