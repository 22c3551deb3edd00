"""Where the time of a run of the workflow went: from Snakemake's records, each moment counted once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import make_run
from dasr.errors import UserError


def remember(folder: Path, output: str, rule: str, log: str, start: float, end: float) -> None:
    path = folder / ".snakemake" / "metadata" / output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rule": rule, "log": [log], "starttime": start, "endtime": end}))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """hmm for 10 s, nothing for 1 s, a training of 20 s (15 s of steps), two decodings of 4 s at once."""
    remember(tmp_path, "a", "hmm", "results/logs/hmm.log", 100, 110)
    remember(tmp_path, "b", "train", "results/logs/train/sd-L4.log", 111, 131)
    for run in ("sd", "ad"):
        for output in ("dev", "test"):  # one job, two outputs
            remember(tmp_path, f"{run}-{output}", "decode", f"results/logs/decode/{run}.log", 131, 135)
    run_folder = tmp_path / "results" / "runs" / "sd-L4"
    run_folder.mkdir(parents=True)
    lines = [{"kind": "train", "seconds": 3.0}, {"kind": "summary", "seconds": 15.0}]
    (run_folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return tmp_path


def test_the_stages_add_up_to_the_run_and_starting_is_separate_from_training(clone: Path) -> None:
    found = {row["stage"]: (row["jobs"], row["jobs_s"], row["run_s"]) for row in make_run.rows(clone)}
    assert found == {
        "train": (1, 15, 15),
        "hmm": (1, 10, 10),
        make_run.STARTING: (1, 5, 5),
        "decode": (2, 8, 4),
        make_run.NOTHING: (0, 0, 1),
    }
    assert sum(part for _, _, part in found.values()) == 35


def test_of_a_job_that_ran_twice_the_last_time_counts(clone: Path) -> None:
    remember(clone, "stale", "hmm", "results/logs/hmm.log", 50, 90)
    assert {"stage": "hmm", "jobs": 1, "jobs_s": 10, "run_s": 10} in make_run.rows(clone)


def test_a_folder_without_records_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no records of Snakemake"):
        make_run.rows(tmp_path)
