"""Throughput of a run of four learners that loses one at 30 % of its budget and gets it back at 60 %.

    sudo python -m benchmarks.lost_learner --results results --out docs/figures --record benchmarks/results

`--results`: a folder in which features and alignments are ready. The run is a job of `dasr train` on this
host. Each learner may use the same share of the processors (a control group), as if each had a node of its
own, so that the others do not get faster when one is gone. The learner is ended with SIGKILL; its
replacement is held (SIGSTOP) until 60 %. Bar: the run loses at most the dead learner's share, a quarter.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks import commandline, records
from dasr import config as configuration
from dasr.errors import UserError

LEARNERS, VICTIM = 4, 2
LOST, BACK = 0.3, 0.6  # of the budget
CONTROL = Path("/sys/fs/cgroup")
SECOND_VERSION = (CONTROL / "cgroup.controllers").exists()
GROUPS = (CONTROL if SECOND_VERSION else CONTROL / "cpu") / "dasr-lost-learner"
INTERVALS = 30  # points of the curve


def prepare(results: Path, folder: Path, strategy: str, epochs: float) -> str:
    """A working folder on the features of `results`; the run's name."""
    config = configuration.load(results / "config.yaml").plain()
    config["comparison"] = {"strategies": [strategy], "learners": [LEARNERS], "batch": [32], "seeds": [0]}
    config["training"] = {**config["training"], "epochs": epochs, "snapshots": 2}
    config["results"] = "results"
    (folder / "results").mkdir()
    for name in ("corpus", "features", "alignments", "hmm"):
        (folder / "results" / name).symlink_to((results / name).resolve())
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return f"{strategy}-L{LEARNERS}-B32-S0"


def learners(run: str, folder: Path) -> dict[int, psutil.Process]:
    """Living learner processes of the run, by rank."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        with contextlib.suppress(psutil.Error, KeyError):
            if "learner" in line and run in line and process.cwd() == str(folder.resolve()):
                found[int(process.environ()["RANK"])] = process
    return found


@contextlib.contextmanager
def equal_shares(percent: int) -> Iterator[None]:
    """Control groups, one a learner, each with so many percent of a processor."""
    for rank in range(LEARNERS):
        (GROUPS / str(rank)).mkdir(parents=True, exist_ok=True)
    if SECOND_VERSION:
        (GROUPS.parent / "cgroup.subtree_control").write_text("+cpu")
        (GROUPS / "cgroup.subtree_control").write_text("+cpu")
    for rank in range(LEARNERS):
        if SECOND_VERSION:
            (GROUPS / str(rank) / "cpu.max").write_text(f"{percent * 1000} 100000")
        else:
            (GROUPS / str(rank) / "cpu.cfs_quota_us").write_text(str(percent * 1000))
    try:
        yield
    finally:
        for group in [*(GROUPS / str(rank) for rank in range(LEARNERS)), GROUPS]:
            with contextlib.suppress(OSError):
                group.rmdir()


def confine(found: dict[int, psutil.Process]) -> None:
    for rank, process in found.items():
        (GROUPS / str(rank) / "cgroup.procs").write_text(str(process.pid))


def training_records(run_folder: Path) -> list[dict[str, Any]]:
    """Rank 0's training records so far."""
    with contextlib.suppress(OSError):
        lines = (run_folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n") and '"train"' in line]
    return []


def watch(run: str, folder: Path, head: subprocess.Popen[bytes]) -> dict[str, float]:
    """Do the harm; seconds of the run's clock at which the learner was lost and came back."""
    run_folder, at, confined = folder / "results" / "runs" / run, dict[str, float](), set[int]()
    first = None
    while head.poll() is None:
        found = learners(run, folder)
        new = {rank: process for rank, process in found.items() if process.pid not in confined}
        confine(new)
        confined |= {process.pid for process in new.values()}
        seen = training_records(run_folder)
        done = seen[-1]["samples"] / seen[-1]["of"] if seen else 0.0
        if "lost" not in at and done >= LOST:
            first = found[VICTIM].pid
            os.kill(first, signal.SIGKILL)
            at["lost"] = seen[-1]["seconds"]
        second = found.get(VICTIM)
        if "lost" in at and "held" not in at and second and second.pid != first:
            second.send_signal(signal.SIGSTOP)
            at["held"] = seen[-1]["seconds"]
        if "held" in at and "back" not in at and done >= BACK and second:
            second.send_signal(signal.SIGCONT)
            at["back"] = seen[-1]["seconds"]
        time.sleep(0.05)
    if head.returncode or "back" not in at:
        raise UserError(f"the run ended with {head.returncode}, {at}: see {run_folder}/logs")
    return at


def curve(found: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """(seconds, samples a second) over about equal numbers of records."""
    points = found[:: max(1, len(found) // INTERVALS)]
    return [
        ((a["seconds"] + b["seconds"]) / 2, (b["samples"] - a["samples"]) / (b["seconds"] - a["seconds"]))
        for a, b in itertools.pairwise(points)
    ]


def rate(found: list[dict[str, Any]], begin: float, end: float) -> float:
    inside = [one for one in found if begin <= one["seconds"] <= end]
    return float(
        (inside[-1]["samples"] - inside[0]["samples"]) / (inside[-1]["seconds"] - inside[0]["seconds"])
    )


def draw(points: list[tuple[float, float]], at: dict[str, float], whole: float, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(*zip(*points, strict=True), color="#0072b2")
    axis.axhline(whole, color="#999999", linestyle=":", label="four learners")
    axis.axhline(whole * (1 - 1 / LEARNERS), color="#d55e00", linestyle=":", label="three of them")
    axis.axvspan(at["lost"], at["back"], color="#eeeeee", label="one learner away")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("seconds of training")
    axis.set_ylabel("samples a second, all learners")
    axis.legend(loc="lower right")
    figure.savefig(path)


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="with features and alignments")
    parser.add_argument("--strategy", default="ad", help="its id")
    parser.add_argument("--epochs", type=float, default=12.0, help="length of the run")
    parser.add_argument("--percent", type=int, default=45, help="of a processor, for each learner")
    parser.add_argument("--out", type=Path, default=Path("."), help="where the figure goes")
    given = parser.parse_args()
    if os.geteuid() != 0 or not GROUPS.parent.exists():
        raise UserError("root and control groups are needed, to give each learner an equal share")
    if not (given.results / "config.yaml").exists():
        raise UserError(f"{given.results}: no config.yaml; `make run` writes what is needed")
    with tempfile.TemporaryDirectory() as name, equal_shares(given.percent):
        folder = Path(name)
        run = prepare(given.results, folder, given.strategy, given.epochs)
        command = [sys.executable, "-m", "dasr", "train", run, "--cpus-per-task", "1"]
        at = watch(run, folder, subprocess.Popen(command, cwd=folder))
        found = training_records(folder / "results" / "runs" / run)
        before, away = rate(found, 5.0, at["lost"]), rate(found, at["held"], at["back"])
        after = rate(found, at["back"] + 10.0, found[-1]["seconds"])
        figure = given.out / f"lost-learner-{given.strategy}.svg"
        draw(curve(found), at, before, figure)
    row = {
        "strategy": given.strategy,
        "samples_per_s_before": round(before, 1),
        "samples_per_s_away": round(away, 1),
        "samples_per_s_after": round(after, 1),
        "kept_while_away": round(away / before, 3),
        "bar": 1 - 1 / LEARNERS,
        "percent_of_a_core_each": given.percent,
        "seconds": {key: round(value, 1) for key, value in at.items()},
    }
    print("  ".join(f"{key} {value}" for key, value in row.items()))
    commandline.keep(records.make("lost-learner", [row]), given.record)


if __name__ == "__main__":
    commandline.run(main)
