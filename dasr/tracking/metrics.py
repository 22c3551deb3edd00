"""What MLflow shows of a run as numbers. The part of a name before the last slash is a group of charts.

A point of a curve has step = samples seen and time = start of the run + seconds of its training clock, so
MLflow's two axes, step and relative time, compare strategies by samples and by wall time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dasr.results.comparison import Row
from dasr.results.records import Record, RunRecord

if TYPE_CHECKING:
    from mlflow.entities import Metric

DIGITS = 5  # significant ones of each value
POINTS = 2000  # of the training curve of a run: longer ones are thinned
WER, WER_NGRAM, HELDOUT_CE = "wer/test/unigram", "wer/test/ngram", "heldout/ce"
TRAINING_S, MB_SENT, WAITING = "time/training_s", "cost/mb_sent", "time/wait_fraction"
GROUPS = ("wer/test", "heldout", "train", "time", "cost", "wer/interval", "wer/dev", "wer/p")
"""The groups in the order in which the charts are shown."""

_TRAIN = {"loss": "train/loss", "learning_rate": "train/learning_rate"}
_HELDOUT = {
    "ce": HELDOUT_CE,
    "frame_accuracy": "heldout/frame_accuracy",
    "consensus_distance": "heldout/consensus_distance",
    "local_ce_mean": "heldout/ce_local_mean",
    "local_ce_max": "heldout/ce_local_max",
}
_SYSTEM = {  # MLflow shows this group on a page of its own
    "cpu_percent": "system/cpu_utilization_percentage",
    "memory_mb": "system/system_memory_usage_megabytes",
    "process_memory_mb": "system/process_memory_usage_megabytes",
    "gpu_percent": "system/gpu_0_utilization_percentage",
    "gpu_memory_mb": "system/gpu_0_memory_usage_megabytes",
}
_SUMMARY = {
    "seconds": TRAINING_S,
    "frames_per_s": "time/frames_per_s",
    "wait_fraction": WAITING,
    "mb_sent_per_learner": MB_SENT,
    "staleness_mean": "cost/staleness_mean",
}


def points(record: RunRecord, row: Row, start_ms: int) -> Iterator[Metric]:
    """Every point of every metric of a run that began at `start_ms` (milliseconds since 1970)."""
    for one in record.train[:: 1 + len(record.train) // POINTS]:
        yield from _at(one, {name: one[key] for key, name in _TRAIN.items()}, start_ms)
    for lines, names in ((record.heldout, _HELDOUT), (record.system, _SYSTEM)):
        for one in lines:
            known = {name: one[key] for key, name in names.items() if one.get(key) is not None}
            yield from _at(one, known, start_ms)
    # Step 0: MLflow draws a metric that has no other step as bars, one a run, not as a curve of one point.
    end = {"seconds": record.summary.get("seconds", 0.0), "samples": 0}
    yield from _at(end, at_the_end(record, row), start_ms)


def _at(point: Record, values: dict[str, float], start_ms: int) -> Iterator[Metric]:
    from mlflow.entities import Metric

    time_ms, step = start_ms + int(1000 * point["seconds"]), int(point["samples"])
    # The pages show every digit that they are given.
    yield from (Metric(name, float(f"{value:.{DIGITS}g}"), time_ms, step) for name, value in values.items())


def at_the_end(record: RunRecord, row: Row) -> dict[str, float]:
    """What is known of a run at its end only: error rates (%) with their 95 % intervals, costs."""
    found = {name: record.summary[key] for key, name in _SUMMARY.items() if key in record.summary}
    for lm, score in record.scores.items():
        found[f"wer/test/{lm}"] = round(score["wer"], 2)
        found[f"wer/interval/{lm}_low"] = round(score["wer_low"], 2)
        found[f"wer/interval/{lm}_high"] = round(score["wer_high"], 2)
        found[f"wer/dev/{lm}"] = round(score["dev_wer"], 2)
    if row.get("p_vs_sc_allreduce"):
        found["wer/p/vs_sc_allreduce"] = float(row["p_vs_sc_allreduce"])
    for lm in record.scores:
        if row.get(f"p_vs_lowest_{lm}"):
            found[f"wer/p/vs_lowest_{lm}"] = float(row[f"p_vs_lowest_{lm}"])
    return found
