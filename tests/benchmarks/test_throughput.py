"""The throughput benchmark runs anywhere, with small shapes."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]

from benchmarks.throughput_clock import Slowed, Timer
from dasr.config import ModelConfig
from dasr.models.acoustic import AcousticModel
from dasr.tasks.captured_task import CapturedTask
from dasr.tasks.task import CopiesWeights
from dasr.worlds.process.world import connect

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_throughput_of_two_learners_beside_ddp_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "benchmarks.throughput", "--preset", "tiny", "--device", "cpu", "--batch", "4"]
    command += ["--steps", "3", "--warm-up", "1", "--strategies", "sc-allreduce:compression=bf16", "ad"]
    subprocess.run([*command, "--record", str(tmp_path / "rows.json")], check=True, cwd=ROOT)
    rows = {row["what"]: row for row in json.loads((tmp_path / "rows.json").read_text())["rows"]}
    assert {"plain PyTorch", "DDP", "single", "ad", "sc-allreduce:compression=bf16"} <= rows.keys()
    assert all(row["kframes_per_s"] > 0 for row in rows.values())
    tiny = AcousticModel(ModelConfig(layers=2, cells=32, bottleneck=16, subsampling=1), 10, 50)
    size = 2 * sum(parameter.numel() for parameter in tiny.parameters())  # bytes; each of two sends it once
    assert rows["sc-allreduce:compression=bf16"]["mb_sent_a_step"] * 1e6 == pytest.approx(size, rel=1e-3)


def test_a_learner_whose_steps_others_took_counts_as_standing_still() -> None:
    world = connect(HashStore(), 0, 1)
    timer = Timer(warm_up=1, steps=3, world=world)
    timer.end()
    assert timer.steps == 0 and timer.spent["bytes_sent"] == 0
    assert 21 * timer.steps / timer.seconds == 0
    world.close()


def test_a_slowed_task_takes_the_weights_itself_as_python_3_12_sees_it() -> None:
    """From then on isinstance() asks no __getattr__ for a protocol's attributes."""

    class Task:
        gradient_dtype = torch.bfloat16

        def gradient(self, weights: Any, gradient: Any, ready: Any) -> float:
            return 0.0

    slowed = Slowed(cast(CapturedTask, Task()), least_s=0.02)
    assert (
        isinstance(slowed, CopiesWeights)
        and inspect.getattr_static(slowed, "gradient_dtype") == torch.bfloat16
    )
    began = time.perf_counter()
    for _ in range(4):  # from the third one on they are measured
        slowed.gradient(torch.empty(1), torch.empty(1), None)
    assert time.perf_counter() - began >= 0.04


def test_a_pause_of_the_host_does_not_let_a_slowed_task_run_on() -> None:
    class Task:
        calls, gradient_dtype = 0, torch.float32

        def gradient(self, weights: Any, gradient: Any, ready: Any) -> float:
            self.calls += 1
            time.sleep(0.1 if self.calls == Slowed.MEASURED[0] else 0.001)
            return 0.0

    slowed = Slowed(cast(CapturedTask, Task()), least_s=0.02)
    for _ in range(Slowed.MEASURED[-1]):
        slowed.gradient(torch.empty(1), torch.empty(1), None)
    assert 0.01 < slowed.pause_s < 0.02
