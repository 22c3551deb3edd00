"""Ctrl-C, once or twice, while a workflow trains: it says what was saved, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests.support import aligned_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RUN = "sc-allreduce-L2-B12-S0"


def prepare(folder: Path, epochs: int) -> None:
    """A project whose stages before training are done."""
    results = aligned_corpus.make(folder)
    config = aligned_corpus.small_config(results, epochs=epochs, snapshots=2).plain()
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "results": "results"}))


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Snakemake with its training, as a terminal's foreground job; their output is in `out`."""
    options = ["--snakefile", str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles" / "local")]
    target = ["--allowed-rules", "train", "--", f"results/runs/{RUN}/model.safetensors"]
    with open(folder / "out", "wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *options, *target],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / ".cache")},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def left(folder: Path) -> list[str]:
    """Command lines of this project that still run."""
    lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_saves_the_training_says_so_and_the_same_command_goes_on(tmp_path: Path, presses: int) -> None:
    prepare(tmp_path, epochs=100_000)
    run = tmp_path / "results" / "runs" / RUN
    head = start(tmp_path)
    while not (run / "metrics.jsonl").exists() or '"train"' not in (run / "metrics.jsonl").read_text():
        assert head.poll() is None, (tmp_path / "out").read_text()
        time.sleep(0.1)
    for press in range(presses):
        if press:  # while the first one is being heeded
            while "told to save and leave" not in (tmp_path / "out").read_text():
                time.sleep(0.05)
        os.killpg(head.pid, signal.SIGINT)
    assert head.wait() != 0
    out = (tmp_path / "out").read_text()
    assert "Traceback" not in out, out
    said = f"{RUN} is saved and its job has ended; the same command goes on from there"
    assert said in out, "the terminal shows it"
    assert said in (tmp_path / "results" / "logs" / "train" / f"{RUN}.log").read_text(), "so does the log"
    assert left(tmp_path) == []

    assert list(run.glob("checkpoints/rank000[01]/*.ckpt")) != []
    again = start(tmp_path)
    while "resumed at step" not in (tmp_path / "out").read_text():
        assert again.poll() is None, (tmp_path / "out").read_text()
        time.sleep(0.1)
    os.killpg(again.pid, signal.SIGINT)
    again.wait()
