"""What a comparison's runs left behind, read once for the table, MLflow and the report.

A crash may cut the last line of a metrics file: that line is left out, with a note. Anything else that
cannot be read is an error that names file and line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dasr import checksums
from dasr import config as dasr_config
from dasr.config import Config, Run
from dasr.errors import UserError
from dasr.results.layout import LMS, Layout
from dasr.validation import read_yaml

Record = dict[str, Any]
LONGEST = 500  # characters of a setting that is shown


@dataclass(frozen=True)
class RunRecord:
    """One training run: what it cost, how it learned, how it was scored. Parts that are missing are empty."""

    run: Run
    folder: Path
    summary: Record
    learners: list[Record]  # one a learner, by rank
    train: list[Record]
    heldout: list[Record]
    scores: dict[str, Record]  # language model -> score.json
    system: list[Record] = field(default_factory=list)  # what rank 0 and its machine used

    @property
    def settings(self) -> Record:
        """The run's resolved config.yaml (with code version and environment), or nothing."""
        path = self.folder / "config.yaml"
        if not path.is_file():
            return {}
        checksums.check(path)
        found = read_yaml(path)
        return found if isinstance(found, dict) else {}

    @property
    def diverged(self) -> bool:
        """Whether the last model is worse than the first weights, or than guessing by the labels'
        frequencies."""
        return has_diverged(self.heldout)

    @property
    def heldout_ce(self) -> float | None:
        """Held-out cross-entropy of the final consensus model, nats a frame."""
        return float(self.heldout[-1]["ce"]) if self.heldout else None


@dataclass
class Records:
    """All runs of a comparison that have something to show, and notes on what is missing."""

    runs: list[RunRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def has_diverged(heldout: list[Record]) -> bool:
    """Whether held-out losses end above one of the two bounds that stand beside them."""
    if not heldout:
        return False
    last = heldout[-1]
    bounds = [last[name] for name in ("start_ce", "priors_ce") if last.get(name) is not None]
    return not math.isfinite(last["ce"]) or any(last["ce"] > bound for bound in bounds)


def run_diverged(folder: Path) -> bool:
    """has_diverged() of the run in that folder; False where its held-out loss is not known."""
    return has_diverged(read_lines(folder / "heldout.jsonl", []))


def read_lines(path: Path, notes: list[str] | None = None) -> list[Record]:
    """JSON lines. Given `notes`, a last line that was cut off is left out with a note. Raises UserError for
    any other bad line, or a line or a file that its checksum knows otherwise."""
    if not path.is_file():
        return []
    lines = checksums.check_bytes(path, path.read_bytes()).decode("utf-8", "replace").split("\n")
    found: list[Record] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not a JSON object")
            record = checksums.checked(record, path)
        except ValueError as error:
            if (
                number == len(lines) and notes is not None
            ):  # no newline after it: the writer was stopped within this line
                notes.append(f"{path}:{number}: the last line was cut off (a crash?); it is left out")
                break
            raise UserError(f"{path}:{number}: {error}: the file is corrupt; run that stage again") from None
        found.append(record)
    return found


def read_run(config: Config, run: Run, notes: list[str]) -> RunRecord | None:
    """One run, or None with a note where it has not been trained."""
    layout = Layout.of(config)
    folder = layout.run(run.name)
    metrics = read_lines(folder / "metrics.jsonl", notes)
    if not metrics:
        notes.append(f"{run.name}: not trained yet (no {folder / 'metrics.jsonl'}); left out")
        return None
    by_kind: dict[str, list[Record]] = {}
    for record in metrics:
        by_kind.setdefault(str(record.get("kind")), []).append(record)
    summaries = by_kind.get("summary", [])
    if not summaries:
        notes.append(f"{run.name}: training has not finished; its costs are left out")
    heldout = read_lines(folder / "heldout.jsonl", notes)
    if not heldout:
        notes.append(f"{run.name}: no held-out loss yet (`dasr evaluate {run.name}`)")
    scores = dict(_scores(layout.root, run, notes))
    learners = sorted(by_kind.get("learner", []), key=lambda one: int(one["rank"]))
    summary = summaries[-1] if summaries else {}
    train, system = by_kind.get("train", []), by_kind.get("system", [])
    return RunRecord(run, folder, summary, learners, train, heldout, scores, system)


def _scores(results: Path, run: Run, notes: list[str]) -> Iterator[tuple[str, Record]]:
    missing = []
    for lm in LMS:
        path = Layout(results).score(run.name, lm)
        try:
            found = json.loads(checksums.check_bytes(path, path.read_bytes()))
            if not found.get("diverged"):  # else it was not decoded
                yield lm, found
        except FileNotFoundError:
            missing.append(lm)
        except ValueError as error:
            raise UserError(f"{path} is corrupt ({error}): run `dasr score {run.name} {lm}` again") from None
    if missing:
        notes.append(
            f"{run.name}: no word error rate with {', '.join(missing)} yet (`dasr decode`, `dasr score`)"
        )


def read_comparison(config: Config) -> Records:
    """Every run of the comparison. Raises UserError where not one has been trained."""
    found = Records()
    for run in dasr_config.runs(config):
        record = read_run(config, run, found.notes)
        if record is not None:
            found.runs.append(record)
    if not found.runs:
        raise UserError(
            f"no run of this comparison has been trained under {config.results}/runs: train first"
        )
    return found


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as dotted names."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from flat(one, f"{name}.{key}" if name else str(key))
    else:
        yield name, str(value)[:LONGEST]


def finite(points: Iterable[tuple[float, Any]]) -> list[tuple[float, float]]:
    """Points whose value is a finite number."""
    return [(x, float(y)) for x, y in points if isinstance(y, int | float) and abs(y) < float("inf")]


def time_split(record: RunRecord) -> dict[str, float]:
    """Mean over learners of the fractions of training time spent computing, waiting for others, and on the
    rest."""
    total = sum(one["seconds"] for one in record.learners)
    if total <= 0:
        return {}
    computing = sum(one["compute_seconds"] for one in record.learners) / total
    waiting = sum(one["wait_seconds"] for one in record.learners) / total
    return {"compute": computing, "wait": waiting, "other": max(0.0, 1 - computing - waiting)}
