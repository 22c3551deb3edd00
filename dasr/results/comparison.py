"""comparison.tsv: one row a run, the columns fixed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from dasr import checksums, columns
from dasr.errors import UserError
from dasr.results.layout import Layout
from dasr.results.records import Records, RunRecord, flat
from dasr.results.trn import read_trn

COLUMNS = [
    "strategy", "learners", "batch", "seed", "samples", "seconds", "frames_per_s", "heldout_ce",
    "wer_unigram", "wer_ngram", "wer_low", "wer_high", "p_vs_sc_allreduce",
    "mb_sent_per_learner", "wait_fraction", "staleness_mean", "training", "diverged",
]  # fmt: skip
FILE = "comparison.tsv"
BASELINE = "sc-allreduce"
SUMMARY_FORMATS = {
    "samples": ".0f",
    "seconds": ".2f",
    "frames_per_s": ".1f",
    "mb_sent_per_learner": ".3f",
    "wait_fraction": ".4f",
    "staleness_mean": ".3f",
}
Row = dict[str, str]


def rows(records: Records, results: Path) -> list[Row]:
    """The table; a value that is not there is an empty cell. wer_low, wer_high and p refer to the unigram
    LM."""
    training = _differences(records)
    table = [_row(record, records, results) for record in records.runs]
    for row, record in zip(table, records.runs, strict=True):
        row["training"] = training[record.run.name]
    return table


def _differences(records: Records) -> dict[str, str]:
    """By the run's name: its settings of training that not all runs have."""
    every = {
        record.run.name: dict(flat(record.settings.get("resolved", {}).get("training", {})))
        for record in records.runs
    }
    keys = dict.fromkeys(key for one in every.values() for key in one)
    differing = [key for key in keys if len({one.get(key) for one in every.values() if one}) > 1]
    return {
        name: ", ".join(f"{key} {one[key]}" for key in differing if key in one) for name, one in every.items()
    }


def _row(record: RunRecord, records: Records, results: Path) -> Row:
    run = record.run
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "strategy": run.label,
        "learners": str(run.learners),
        "batch": str(run.batch),
        "seed": str(run.seed),
        "diverged": "yes" if record.diverged else "",
    }
    for name, form in SUMMARY_FORMATS.items():
        row[name] = _number(record.summary.get(name), form)
    row["heldout_ce"] = _number(record.heldout_ce, ".4f")
    for lm, score in record.scores.items():
        row[f"wer_{lm}"] = _number(score["wer"], ".2f")
    if "unigram" in record.scores:
        row["wer_low"] = _number(record.scores["unigram"]["wer_low"], ".2f")
        row["wer_high"] = _number(record.scores["unigram"]["wer_high"], ".2f")
        reference = baseline(record, records)
        if reference is not None and reference is not record:
            row["p_vs_sc_allreduce"] = f"{_p_value(results, record, reference):.4f}"
    return row


def baseline(record: RunRecord, records: Records) -> RunRecord | None:
    """The `sc-allreduce` run (no options) of the same learners, batch and seed that has been scored.

    `single` has one learner: where no baseline has, it is compared with the one of the fewest learners."""
    same = [
        one
        for one in records.runs
        if one.run.label == BASELINE
        and (one.run.batch, one.run.seed) == (record.run.batch, record.run.seed)
        and "unigram" in one.scores
    ]
    exact = [one for one in same if one.run.learners == record.run.learners]
    if exact:
        return exact[0]
    return min(same, key=lambda one: one.run.learners, default=None) if record.run.learners == 1 else None


def _p_value(results: Path, record: RunRecord, reference: RunRecord) -> float:
    from dasr.results.significance import paired_p_value

    ours, theirs = (Layout(results).decoded(one.run.name, "unigram") for one in (record, reference))
    references, system, other = (
        read_trn(ours / "ref.trn"),
        read_trn(ours / "test.trn"),
        read_trn(theirs / "test.trn"),
    )
    if set(references) != set(other):
        raise UserError(
            f"{ours} and {theirs} were scored on different utterances: decode and score both again"
        )
    return paired_p_value(references, system, other)


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else ""


def write(table: list[Row], results: Path) -> Path:
    """Write comparison.tsv atomically."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    with checksums.sealed(results / FILE) as temporary:
        temporary.write_text(stream.getvalue(), encoding="utf-8")
    return results / FILE


def read(results: Path) -> list[Row]:
    """The table as written. Raises UserError."""
    path = results / FILE
    try:
        checksums.check(path)
        with open(path, encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            table = list(reader)
    except OSError as error:
        raise UserError(f"no table at {path} ({error.strerror}): run `dasr compare` first") from None
    if reader.fieldnames != COLUMNS:
        raise UserError(f"{path} has other columns than this version writes: run `dasr compare` again")
    return table


DEAR = (
    "wer_unigram",
    "interval",
    "wer_ngram",
    "seconds",
    "heldout_ce",
)  # a narrow terminal shows these first


def pretty(table: list[Row], width: int | None = None) -> str:
    """The table in lines of at most `width` (None: all columns).

    Columns that are the same in every row move into a line above it."""
    several = [row for row in table if row["strategy"] != "single"] or table
    names = ("learners", "batch", "seed", "samples")
    constant = [name for name in names if len({row[name] for row in several}) == 1]
    headline = ", ".join(f"{name} {several[0][name]}" for name in constant)
    headers = {
        "strategy": "strategy", "learners": "L", "batch": "batch", "seed": "seed", "samples": "samples",
        "seconds": "s", "frames_per_s": "frames/s", "heldout_ce": "held-out\nCE, nats",
        "wer_unigram": "WER %\nunigram", "interval": "95 %\ninterval", "wer_ngram": "WER %\nn-gram",
        "p_vs_sc_allreduce": "p vs sc-\nallreduce", "mb_sent_per_learner": "MB sent/\nlearner",
        "wait_fraction": "waiting\n%", "staleness_mean": "stale-\nness",
    }  # fmt: skip
    shown = [name for name in headers if name not in constant]
    body = []
    for row in table:
        cells = dict(row)
        cells["strategy"] += f"\n({row['training']})" if row["training"] else ""
        cells["strategy"] += "\nDIVERGED" if row["diverged"] else ""
        cells["interval"] = f"{row['wer_low']} - {row['wer_high']}" if row["wer_low"] else ""
        cells["wait_fraction"] = f"{100 * float(row['wait_fraction']):.1f}" if row["wait_fraction"] else ""
        cells["frames_per_s"] = f"{float(row['frames_per_s']):,.0f}" if row["frames_per_s"] else ""
        body.append({name: cells[name] or "-" for name in shown})
    text = columns.text({name: headers[name] for name in shown}, body, DEAR, width)
    return f"{headline}\n{text}" if headline else text
