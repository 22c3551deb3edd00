"""Kills at random moments while two other processes keep the cores busy: the same tensors, nothing left.

DASR_TEST_KILLS=40 pytest tests/launch/test_random_kills.py     the whole trial, about an hour
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from torch import Tensor

from dasr.models import acoustic
from tests.support.aligned_corpus import small_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("DASR_TEST_KILLS", "5"))
VICTIMS = {
    "learner": " learner ",
    "supervisor": "submitit.core._submit",
    "dispatcher": "/dasr train ",
    "snakemake": " snakemake ",
    "all": "",
}
STRATEGIES = ("sc-allreduce", "sd")


@pytest.fixture(scope="module")
def busy() -> Iterator[None]:
    """Two processes that never wait."""
    others = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(2)]
    yield
    for other in others:
        other.kill()
        other.wait()


class Trial:
    """A run in a folder of its own."""

    def __init__(self, folder: Path, corpus: Path, strategy: str):
        self.folder = folder
        results = folder / "results"
        results.mkdir(parents=True)
        for part in ("features", "alignments"):
            shutil.copytree(corpus / part, results / part)
        config = small_config(results, checkpoint_seconds=1, epochs=20, snapshots=2)
        (folder / "config.yaml").write_text(yaml.safe_dump(config.plain()))
        self.run = f"{strategy}-L2-B12-S0"

    def train(self) -> subprocess.Popen[bytes]:
        """Snakemake, with the one rule that trains."""
        options = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles" / "local")]
        where = ["--directory", str(self.folder), "--nolock", "--allowed-rules", "train"]
        target = str(self.folder / "results" / "runs" / self.run / "model.safetensors")
        with open(self.folder / "head.log", "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "snakemake", *options, *where, "--", target],
                env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(self.folder / ".cache")},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def processes(self, what: str = "") -> list[psutil.Process]:
        """Living processes of this run whose command line has `what` in it."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = " ".join(process.info["cmdline"] or [])
            if str(self.folder) in line and process.info["status"] != psutil.STATUS_ZOMBIE and what in line:
                found.append(process)
        return found

    def weights(self) -> dict[str, Tensor]:
        return acoustic.load(self.folder / "results" / "runs" / self.run).state_dict()

    def log(self) -> str:
        return (self.folder / "head.log").read_text(errors="replace")[-4000:]


@pytest.fixture(scope="module")
def undisturbed(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory, busy: None
) -> dict[str, tuple[dict[str, Tensor], float]]:
    """Of each strategy: the weights, and how long the run took."""
    ended = {}
    for strategy in STRATEGIES:
        trial = Trial(tmp_path_factory.mktemp("undisturbed") / strategy, corpus, strategy)
        began = time.monotonic()
        assert trial.train().wait() == 0, trial.log()
        ended[strategy] = trial.weights(), time.monotonic() - began
    return ended


@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_changes_no_bit_and_leaves_nothing(
    corpus: Path, tmp_path: Path, undisturbed: dict[str, tuple[dict[str, Tensor], float]], number: int
) -> None:
    seed = time.time_ns()
    draw = random.Random(seed)
    victim = list(VICTIMS)[number % len(VICTIMS)]
    strategy = STRATEGIES[number // len(VICTIMS) % len(STRATEGIES)]
    weights, seconds = undisturbed[strategy]
    trial = Trial(tmp_path / strategy, corpus, strategy)
    head = trial.train()
    moment = draw.uniform(0, seconds)
    print(f"seed {seed}: {victim} of {strategy} after {moment:.1f} s")
    time.sleep(moment)
    while head.poll() is None and not (targets := trial.processes(VICTIMS[victim])):
        time.sleep(0.05)
    if head.poll() is None:
        for target in targets if victim == "all" else [draw.choice(targets)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                target.kill()
    code = head.wait()
    for _ in range(2):  # a killed supervisor ends its job, a killed dispatcher or Snakemake leaves it alone
        if code != 0:
            code = trial.train().wait()
    assert code == 0, trial.log()
    found = trial.weights()
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights), trial.log()
    while trial.processes():  # nothing is left
        time.sleep(0.1)
