"""comparison.tsv: one row a run, the columns fixed; on a terminal a line for all seeds."""

from __future__ import annotations

import csv
import io
import textwrap
from pathlib import Path
from typing import Any

from dasr import checksums, columns
from dasr.errors import UserError
from dasr.results import over_seeds
from dasr.results.layout import LMS, Layout
from dasr.results.over_seeds import Entry
from dasr.results.records import Records, RunRecord, flat
from dasr.results.trn import read_trn

COLUMNS = [
    "strategy", "learners", "batch", "seed", "samples", "seconds", "frames_per_s", "heldout_ce",
    "wer_unigram", "wer_ngram", "wer_low", "wer_high", "p_vs_sc_allreduce", "p_vs_lowest_unigram",
    "p_vs_lowest_ngram", "run_spread",
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
Row = over_seeds.Row


def rows(records: Records, results: Path) -> list[Row]:
    """The table; a value that is not there is an empty cell. wer_low, wer_high and p refer to the unigram
    LM; p_vs_lowest and run_spread (points) are those of `dasr.results.ranking`, the same for all seeds."""
    training = _differences(records)
    table = [_row(record, records, results) for record in records.runs]
    for row, record in zip(table, records.runs, strict=True):
        row["training"] = training[record.run.name]
    for lm in LMS:
        _rank(records, table, results, lm)
    return table


def _rank(records: Records, table: list[Row], results: Path, lm: str) -> None:
    """Fill p_vs_lowest of that language model, unless one run each leaves nothing to test with."""
    from dasr.results import ranking

    members: dict[tuple[str, int, int], list[int]] = {}
    for index, record in enumerate(records.runs):
        if lm in record.scores:
            run = record.run
            members.setdefault((run.label, run.learners, run.batch), []).append(index)
    rates = {key: [records.runs[i].scores[lm]["wer"] for i in found] for key, found in members.items()}
    spread = ranking.spread_of(list(rates.values()), ranking.KNOWN.get(_speech(records)))
    if spread is None or len(members) < 2:
        return
    folders = [Layout(results).decoded(record.run.name, lm) for record in records.runs]
    references = read_trn(folders[next(iter(members.values()))[0]] / "ref.trn")
    errors = {
        key: ranking.stacked([ranking.errors_of(references, folders[i]) for i in found])
        for key, found in members.items()
    }
    lowest = min(rates, key=lambda key: sum(rates[key]) / len(rates[key]))
    found = ranking.p_values(errors, ranking.lengths(references), spread)
    for key, indices in members.items():
        for row in (table[index] for index in indices):
            row["run_spread"] = row["run_spread"] or f"{spread.points:.2f}"
            if key != lowest:
                row[f"p_vs_lowest_{lm}"] = f"{found[frozenset((key, lowest))]:.4f}"


def _speech(records: Records) -> tuple[str, str]:
    """Corpus and preset of the first run."""
    settings = records.runs[0].settings
    return settings.get("corpus", {}).get("kind", ""), settings.get("model", {}).get("preset", "")


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


DEAR = ("wer_unigram", "interval", "wer_ngram", "range_ngram", "seconds", "heldout_ce")
"""A narrow terminal shows these first."""
HEADERS = {
    "strategy": "strategy", "learners": "L", "batch": "batch", "seed": "seed", "samples": "samples",
    "seconds": "s", "frames_per_s": "frames/s", "heldout_ce": "held-out\nCE, nats",
    "wer_unigram": "WER %\nunigram", "interval": "95 %\ninterval", "wer_ngram": "WER %\nn-gram",
    "range_ngram": "over\nseeds", "mb_sent_per_learner": "MB sent/\nlearner", "wait_fraction": "waiting\n%",
    "staleness_mean": "stale-\nness",
}  # fmt: skip
FORMATS = {
    "seconds": ".2f", "frames_per_s": ",.0f", "heldout_ce": ".4f", "wer_unigram": ".2f", "wer_ngram": ".2f",
    "mb_sent_per_learner": ".3f", "staleness_mean": ".3f",
}  # fmt: skip


def pretty(table: list[Row], width: int | None = None) -> str:
    """Means and ranges over seeds in lines of at most `width` (None: all columns), and what the tests say.

    Columns that are the same in every row move into a line above it."""
    every = over_seeds.entries(table)
    several_seeds = over_seeds.several_seeds(every)
    several = [entry for entry in every if entry.label != "single"] or every
    headers = dict(HEADERS)
    if several_seeds:
        headers |= {"seed": "seeds", "interval": "over\nseeds"}
    else:
        del headers["range_ngram"]
    body = [_cells(entry, several_seeds) for entry in every]
    shape = [cells for entry, cells in zip(every, body, strict=True) if entry in several]
    constant = [
        name for name in ("learners", "batch", "seed", "samples") if len({c[name] for c in shape}) == 1
    ]
    headline = ", ".join(f"{headers[name] if name == 'seed' else name} {shape[0][name]}" for name in constant)
    shown = [name for name in headers if name not in constant]
    text = columns.text({name: headers[name] for name in shown}, body, DEAR, width)
    return "\n".join([*([headline] if headline else []), text, *_wrapped(over_seeds.sentences(table), width)])


def _cells(entry: Entry, several_seeds: bool) -> dict[str, str]:
    """A line of the table: means over seeds, and the range of the WER or, of one run, its interval."""
    first = entry.rows[0]
    cells = {name: first[name] for name in ("strategy", "learners", "batch", "samples", "seed")}
    cells["strategy"] += f"\n({first['training']})" if first["training"] else ""
    cells["strategy"] += "\nDIVERGED" if any(row["diverged"] for row in entry.rows) else ""
    for name, form in FORMATS.items():
        cells[name] = _number(entry.mean(name), form)
    waiting = entry.mean("wait_fraction")
    cells["wait_fraction"] = _number(None if waiting is None else 100 * waiting, ".1f")
    if several_seeds:
        cells["seed"] = str(len(entry.rows))
        cells["interval"] = entry.range("wer_unigram", ".2f")
        cells["range_ngram"] = entry.range("wer_ngram", ".2f")
    else:
        cells["interval"] = f"{first['wer_low']} - {first['wer_high']}" if first["wer_low"] else ""
    return {name: text or "-" for name, text in cells.items()}


def _wrapped(sentences: list[str], width: int | None) -> list[str]:
    lines = [textwrap.wrap(one, width or 200, break_on_hyphens=False) for one in sentences]
    return [line for paragraph in lines for line in paragraph]
