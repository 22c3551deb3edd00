"""`dasr simulate`: a table for who reads it, JSON lines for a program."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.planning.command import simulate

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


def test_simulations_are_written_as_lines_with_their_figure_beside(tmp_path: Path) -> None:
    out = tmp_path / "sweep.jsonl"
    arguments = [
        "--strategy",
        "sd",
        "-o",
        "mixing=ring",
        "--learners",
        "2",
        "--steps",
        "4",
        "--local-batch",
        "2",
    ]
    arguments += ["--task", "quadratic", "--slow", "1:2.5", "--pause", "0:0.5:1", "--out", str(out)]
    assert CliRunner().invoke(simulate, arguments, catch_exceptions=False).exit_code == 0
    summary, *curve = (json.loads(line) for line in out.read_text().splitlines())
    assert summary["strategy"] == "sd" and summary["options"] == {"mixing": "ring"}
    assert {point["kind"] for point in curve} == {"curve"} and len(curve) >= 2
    assert out.with_suffix(".svg").stat().st_size > 1000


def test_speedup_goes_through_the_powers_of_two() -> None:
    arguments = ["--strategy", "ad", "--speedup", "--max-learners", "5", "--steps", "4"]
    result = CliRunner().invoke(simulate, arguments, catch_exceptions=False)
    assert [json.loads(line)["learners"] for line in result.stdout.splitlines()] == [1, 2, 4]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "mixing"], "write KEY=VALUE"),
        (["--slow", "1"], "'1' is not --slow RANK:FACTOR"),
        (["--dead", "x:1"], "'x:1' is not --dead RANK:AT"),
        (["--strategy", "addd"], "did you mean 'ad'"),
    ],
)
def test_a_mistake_in_what_is_typed_is_one_line(arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        CliRunner().invoke(simulate, ["--steps", "1", *arguments], catch_exceptions=False)
