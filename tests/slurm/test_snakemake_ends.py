"""Snakemake itself told to end, or killed, while training runs."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.slurm.conftest import environment, snakemake
from tests.support.slurm.cluster import Cluster
from tests.support.slurm.soak import SMALL
from tests.support.slurm.trial import stray_processes

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(900)]


def configure(clone: Path, seed: int, epochs: int) -> tuple[str, Path]:
    """A run that the clone has not trained yet: (name of its configuration, its folder)."""
    config = yaml.safe_load(SMALL)
    config["comparison"] |= {"strategies": ["sc-allreduce"], "seeds": [seed]}
    config["training"] |= {"epochs": epochs, "checkpoint_seconds": 1}
    name = f"seed{seed}.yaml"
    (clone / name).write_text(yaml.safe_dump(config))
    return name, clone / "results" / "runs" / f"sc-allreduce-L4-B32-S{seed}"


def start(clone: Path, cluster: Cluster, config: str, run: Path) -> subprocess.Popen[bytes]:
    """Snakemake, until its run is training."""
    target = str((run / "model.safetensors").relative_to(clone))
    command = ["snakemake", "--profile", "slurm", "--configfile", config, "--", target]
    with open(clone / f"{run.name}.log", "ab") as log:
        process = subprocess.Popen(
            command,
            cwd=clone,
            env=environment(cluster, clone),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 300
    while not (run / "checkpoints" / "rank0000").is_dir():
        assert process.poll() is None and time.monotonic() < deadline, (
            clone / f"{run.name}.log"
        ).read_text()[-3000:]
        time.sleep(0.2)
    return process


def states(cluster: Cluster, run: Path) -> list[str]:
    return [state for (state,) in cluster.accounted(f"dasr-{run.name}", "State")]


def test_snakemake_told_to_end_lets_its_training_finish(clone: Path, cluster: Cluster) -> None:
    config, run = configure(clone, 1, epochs=25)
    process = start(clone, cluster, config, run)
    process.send_signal(signal.SIGTERM)
    process.wait(300)
    assert (run / "model.safetensors").exists()
    assert states(cluster, run) == ["COMPLETED"]
    assert stray_processes(str(clone)) == []
    target = str((run / "model.safetensors").relative_to(clone))
    assert "Nothing to be done" in snakemake(cluster, clone, "--configfile", config, "--", target)


def test_after_snakemake_was_killed_its_next_start_finds_the_job(clone: Path, cluster: Cluster) -> None:
    config, run = configure(clone, 2, epochs=80)
    process = start(clone, cluster, config, run)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    snakemake(cluster, clone, "--configfile", config, "--unlock")
    target = str((run / "model.safetensors").relative_to(clone))
    said = snakemake(cluster, clone, "--configfile", config, "--", target)
    assert (run / "model.safetensors").exists()
    assert states(cluster, run) == ["COMPLETED"], "one job, whatever happened to its head"
    assert "watching it" in said or "is finished" in said or "Nothing to be done" in said
    assert stray_processes(str(clone)) == []
