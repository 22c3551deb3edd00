"""Where the time of a finished `make run` went, from Snakemake's own records of the jobs.

    python -m benchmarks.make_run path/to/clone --record benchmarks/results

`jobs, s`: the sum over the jobs of a stage. `of the run, s`: each moment is shared by the jobs that run in
it, so that this column adds up to the run. What trainings need to start and end is told apart.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tabulate import tabulate

from benchmarks import commandline, records
from dasr.errors import UserError

STARTING, NOTHING = "train: start and end", "no job: Snakemake itself"


@dataclass(frozen=True)
class Job:
    """A job of Snakemake: its rule and log, and when it ran (seconds since the epoch)."""

    rule: str
    log: str
    start: float
    end: float


def jobs(folder: Path) -> list[Job]:
    """What Snakemake, started in `folder`, keeps of the jobs that made the files there. Raises UserError."""
    found = set()
    for path in (folder / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            told = json.loads(path.read_text(encoding="utf-8"))
            if told.get("endtime") and told["log"]:
                found.add(
                    Job(told["rule"], told["log"][0], round(told["starttime"], 1), round(told["endtime"], 1))
                )
    newest: dict[str, Job] = {job.log: job for job in sorted(found, key=lambda job: job.end)}
    if not newest:
        raise UserError(f"{folder} holds no records of Snakemake: was `make run` started there?")
    return sorted(newest.values(), key=lambda job: job.start)


def shares(found: Sequence[Job]) -> Iterator[tuple[Job | None, float]]:
    """Each job's part of the time, in seconds; None where no job ran."""
    times = sorted({time for job in found for time in (job.start, job.end)})
    for start, end in pairwise(times):
        running = [job for job in found if job.start <= start and job.end >= end]
        if not running:
            yield None, end - start
        for job in running:
            yield job, (end - start) / len(running)


def training_seconds(folder: Path, job: Job) -> float:
    """From a run's first step to its last."""
    log = folder / job.log
    metrics = log.parents[2] / "runs" / log.stem / "metrics.jsonl"
    *_, last = metrics.read_text(encoding="utf-8").splitlines()
    return float(json.loads(last)["seconds"])


def rows(folder: Path) -> list[records.Row]:
    """A row a stage, the longest first."""
    found = jobs(folder)
    whole: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for job in found:
        counts[job.rule] += 1
        whole[job.rule] += job.end - job.start
    parts: dict[str, float] = defaultdict(float)
    for each, seconds in shares(found):
        parts[each.rule if each else NOTHING] += seconds
    steps = sum(training_seconds(folder, job) for job in found if job.rule == "train")
    if counts["train"]:
        counts[STARTING] = counts["train"]
        for seconds_of in (whole, parts):
            seconds_of[STARTING] = seconds_of["train"] - steps
            seconds_of["train"] = steps
    made = [
        {"stage": stage, "jobs": counts[stage], "jobs_s": round(whole[stage], 1), "run_s": round(part, 1)}
        for stage, part in parts.items()
    ]
    return sorted(made, key=lambda row: -row["run_s"])


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("folder", type=Path, help="where `make run` was started")
    given = parser.parse_args()
    made = rows(given.folder)
    heads = {"stage": "stage", "jobs": "jobs", "jobs_s": "jobs, s", "run_s": "of the run, s"}
    print(tabulate([[row[key] for key in heads] for row in made], [*heads.values()], floatfmt=".1f"))
    record = records.make("make-run", made, {"seconds": round(sum(row["run_s"] for row in made))})
    commit = subprocess.run(
        ["git", "rev-parse", "--short=10", "HEAD"], cwd=given.folder, capture_output=True, text=True
    )
    code = {"commit": commit.stdout.strip() or None, "dirty": None}
    commandline.keep(record.model_copy(update=code), given.record)


if __name__ == "__main__":
    commandline.run(main)
