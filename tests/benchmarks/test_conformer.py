"""The Conformer benchmark runs anywhere, with small shapes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_two_learners_train_a_conformer_beside_ddp_on_a_cpu(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "benchmarks.conformer", "--device", "cpu", "--layers", "1", "--width", "8"]
    command += ["--heads", "2", "--batch", "1", "--steps", "2", "--warm-up", "1", "--utterances", "4"]
    subprocess.run([*command, "--record", str(tmp_path / "rows.json")], check=True, cwd=ROOT)
    rows = {row["what"]: row for row in json.loads((tmp_path / "rows.json").read_text())["rows"]}
    expected = {"plain PyTorch", "DDP", "single", "sc-allreduce", "ad", "local", "single, at the end"}
    assert rows.keys() == expected
    assert all(row["kframes_per_s"] > 0 for row in rows.values())
    assert rows["sc-allreduce"]["mb_sent_a_step"] > 0
