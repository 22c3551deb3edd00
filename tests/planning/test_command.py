"""`dasr simulate`: a table for who reads it, JSON lines for a program."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "dasr", "simulate", "--strategy", "ad", "--steps", "20"]
COMMAND += ["--learners", "2", "--learners", "16", "--cluster", "ethernet-25g"]


@pytest.mark.slow
def test_a_terminal_gets_a_table_of_what_a_program_gets_as_lines() -> None:
    ours, its = pty.openpty()
    with subprocess.Popen(COMMAND, stdout=its, stderr=subprocess.DEVNULL) as reader:
        os.close(its)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how a terminal ends on Linux
            pass
    os.close(ours)
    assert reader.returncode == 0
    piped = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    records = [json.loads(line) for line in piped.splitlines()]
    title, _, _, *rows = shown.decode().splitlines()
    assert title == "cluster 'ethernet-25g', 43 M parameters, 128 samples a learner and step, 20 steps"
    assert len(rows) == len(records) == 2
    for row, record in zip(rows, records, strict=True):
        strategy, learners, ms, speedup, efficiency, waiting, *_ = row.split()
        assert (strategy, int(learners)) == (record["strategy"], record["learners"])
        assert float(ms) == round(1e3 * record["step_seconds"], 2)
        assert float(speedup) == round(record["speedup"], 2)
        assert (float(efficiency), float(waiting)) == (
            round(record["efficiency"], 3),
            round(100 * record["wait_fraction"], 1),
        )
