"""`dasr simulate`: a table for who reads it, JSON lines for a program."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.planning.command import calibrate, simulate
from dasr.worlds.simulated.clusters import Cluster, Compute, Link, Measured, save

COMMAND = [sys.executable, "-m", "dasr", "simulate", "--strategy", "ad", "--steps", "20"]
COMMAND += ["--learners", "2", "--learners", "16", "--cluster", "ethernet-25g"]


@pytest.mark.slow
def test_a_terminal_gets_a_table_of_what_a_program_gets_as_lines() -> None:
    ours, its = pty.openpty()
    wide = {**os.environ, "COLUMNS": "120"}
    with subprocess.Popen(COMMAND, stdout=its, stderr=subprocess.DEVNULL, env=wide) as reader:
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
        (["--learners", "4", "--slow", "4:2"], "--slow: there is no learner 4; 4 learners have ranks 0 to 3"),
        (
            ["--learners", "2", "--learners", "8", "--dead", "7:1"],
            "--dead: there is no learner 7; 2 learners",
        ),
        (["--learners", "4", "--pause", "99:1:1"], "--pause: there is no learner 99"),
        (["--speedup", "--max-learners", "8", "--slow", "8:2"], "--slow: there is no learner 8; 8 learners"),
    ],
)
def test_a_mistake_in_what_is_typed_is_one_line(arguments: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        CliRunner().invoke(simulate, ["--steps", "1", *arguments], catch_exceptions=False)


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """A description as `dasr calibrate` writes it: 40 ms for 16 samples of a model of 0.6 M parameters."""
    path = tmp_path / "here.yaml"
    link = Link(gbit_s=8.0, latency_us=300.0)
    measured = Measured("the demo model", 16, 2, 16.0, 7, parameters=600_000)
    compute = Compute(per_sample_s=0.04 / 16)
    save(Cluster(own_links=True, inside=link, between=link, compute=compute, measured=measured), path)
    return path


def simulated(cluster: Path, *more: str) -> dict[str, Any]:
    arguments = [
        "--cluster",
        str(cluster),
        "--strategy",
        "sc-allreduce",
        "--learners",
        "4",
        "--steps",
        "8",
        *more,
    ]
    record: dict[str, Any] = json.loads(
        CliRunner().invoke(simulate, arguments, catch_exceptions=False).stdout
    )
    return record


def test_a_calibrated_cluster_is_simulated_with_what_it_was_measured_with(calibrated: Path) -> None:
    """A ring of 4 sends 6 messages of a quarter of 2.4 MB: 6 (0.3 + 0.6) ms beside a gradient of 40 ms."""
    record = simulated(calibrated)
    assert (record["parameters"], record["local_batch"]) == (600_000, 16)
    assert record["speedup"] == pytest.approx(4 * 40 / (40 + 6 * 0.9), rel=0.1)


def test_another_size_than_the_measured_one_is_said(
    calibrated: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulated(calibrated)
    assert not caplog.records or {record.levelname for record in caplog.records} == {"INFO"}
    record = simulated(calibrated, "--parameters", "1000", "--local-batch", "32")
    assert (record["parameters"], record["local_batch"]) == (1000, 32)
    said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert "its gradient takes another time than that of 1,000 parameters" in said[0]
    assert "measured with 16 samples a gradient: the time of 32 is extrapolated" in said[1]


@pytest.mark.slow
def test_what_calibrate_writes_is_what_simulate_reads(tmp_path: Path) -> None:
    path = tmp_path / "here.yaml"
    arguments = ["--out", str(path), "--max-mb", "8", "--repeats", "5", "--local-batch", "2"]
    assert CliRunner().invoke(calibrate, arguments, catch_exceptions=False).exit_code == 0
    record = simulated(path)
    assert (record["parameters"], record["local_batch"]) == (899_600, 2)
    assert 0.25 < record["speedup"] <= 4.0


@pytest.mark.parametrize("columns", [60, 80])
def test_the_table_of_simulations_has_all_columns_by_wide_and_tsv(columns: int) -> None:
    arguments = ["--strategy", "ad", "--strategy", "bmuf", "--steps", "8"]
    env = {"COLUMNS": str(columns)}
    wide = CliRunner().invoke(simulate, [*arguments, "--wide"], env=env, catch_exceptions=False).stdout
    assert "MB sent a learner" in wide and "staleness" in wide
    tsv = CliRunner().invoke(simulate, [*arguments, "--tsv"], env=env, catch_exceptions=False).stdout
    assert [line.split("\t")[0] for line in tsv.splitlines()] == ["strategy", "ad", "bmuf"]
