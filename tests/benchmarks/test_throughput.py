"""The throughput benchmark runs anywhere, with small shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed import HashStore

from benchmarks.throughput_clock import Timer
from dasr.models.acoustic import AcousticModel
from dasr.models.config import ModelConfig
from dasr.worlds.torch_world import connect

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_throughput_of_two_learners_beside_ddp_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [
        str(ROOT / "benchmarks" / "throughput.py"),
        "--preset",
        "tiny",
        "--device",
        "cpu",
        "--batch",
        "4",
    ]
    command += ["--steps", "3", "--warm-up", "1", "--strategies", "sc-allreduce:compression=bf16", "ad"]
    subprocess.run([*command, "--json", str(tmp_path / "rows.json")], check=True, timeout=300)
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
