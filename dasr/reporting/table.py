"""The report's tables: which columns, how numbers are written, what is emphasised."""

from __future__ import annotations

from dataclasses import dataclass

from dasr.results import over_seeds
from dasr.results.layout import LMS
from dasr.results.over_seeds import Entry, Row
from dasr.results.records import Record, RunRecord, flat
from dasr.results.significance import REPLICATIONS, SIGNIFICANT, holm

HEADINGS = {
    "strategy": "strategy", "learners": "learners", "batch": "batch", "seed": "seed", "samples": "samples",
    "seconds": "training, s", "frames_per_s": "frames/s", "heldout_ce": "held-out CE, nats/frame",
    "wer_unigram": "WER %, unigram", "interval_unigram": "95 % interval",
    "wer_ngram": "WER %, n-gram", "interval_ngram": "95 % interval", "p_vs_sc_allreduce": "p vs sc-allreduce",
    "mb_sent_per_learner": "MB sent a learner", "wait_fraction": "waiting %", "staleness_mean": "staleness",
    "training": "training", "diverged": "diverged",
}  # fmt: skip
OVER_SEEDS = {"interval_unigram": "over seeds", "interval_ngram": "over seeds"}
SELDOM = ("training", "diverged")  # columns that are shown where they say something
SHAPE = ("learners", "batch", "seed", "samples")  # told once, above the table, where they do not differ
FORMATS = {
    "samples": ",.0f", "seconds": ",.1f", "frames_per_s": ",.0f", "heldout_ce": ".3f",
    "wer_unigram": ".2f", "wer_ngram": ".2f", "mb_sent_per_learner": ",.0f", "staleness_mean": ".1f",
}  # fmt: skip
OPTIONS = "option."


@dataclass(frozen=True)
class Cell:
    text: str
    emphasis: str = ""  # a class of the page's style


@dataclass(frozen=True)
class Table:
    headings: dict[str, str]  # column -> heading
    rows: list[dict[str, Cell]]
    same: str  # what is the same in all rows, in words


def comparison(records: list[RunRecord], table: list[Row]) -> Table:
    """comparison.tsv as it is read: per cent, separators; means over seeds, and the range of the WER over
    them or, of one run, its 95 % interval."""
    every = over_seeds.entries(table)
    seeds = over_seeds.several_seeds(every)
    scores = {id(row): record.scores for record, row in zip(records, table, strict=True)}
    bodies = [_texts(entry, scores, seeds) for entry in every]
    several = [body for entry, body in zip(every, bodies, strict=True) if entry.label != "single"] or bodies
    constant = [name for name in SHAPE if len({body[name] for body in several}) == 1]
    left_out = {*constant, *(name for name in SELDOM if not any(row.get(name) for row in table))}
    headings = HEADINGS | ({"seed": "seeds", **OVER_SEEDS} if seeds else {})
    if seeds:
        left_out.add("p_vs_sc_allreduce")  # that of one run
    shown = {name: heading for name, heading in headings.items() if name not in left_out}
    rows = [{name: Cell(body[name] or "–") for name in shown} for body in bodies]
    for lm in LMS:
        best = over_seeds.winner(every, lm)
        for entry, cells in zip(every, rows, strict=True):
            if entry is best:
                cells[f"wer_{lm}"] = Cell(cells[f"wer_{lm}"].text, "best")
    if not seeds:
        _mark_unlike(table, rows)
    same = ", ".join(f"{headings[name]} {several[0][name]}" for name in constant)
    return Table(shown, rows, same)


def _texts(entry: Entry, scores: dict[int, dict[str, Record]], seeds: bool) -> dict[str, str]:
    """A line of the table."""
    first = entry.rows[0]
    texts = dict(first)
    for name, form in FORMATS.items():
        texts[name] = _number(entry.mean(name), form)
    texts["wait_fraction"] = _number(entry.mean("wait_fraction"), ".1f", 100)
    texts["diverged"] = "yes" if any(row["diverged"] for row in entry.rows) else ""
    texts |= {name: _number(float(first[name]), ",.0f") for name in ("learners", "batch", "seed")}
    for lm in LMS:
        score = scores[id(first)].get(lm)
        interval = f"{score['wer_low']:.2f} – {score['wer_high']:.2f}" if score else ""
        texts[f"interval_{lm}"] = entry.range(f"wer_{lm}", ".2f").replace("-", "–") if seeds else interval
    if seeds:
        texts["seed"] = str(len(entry.rows))
    return texts


def _mark_unlike(table: list[Row], rows: list[dict[str, Cell]]) -> None:
    """Emphasise p values that remain small where they are corrected for their number (Holm)."""
    compared = [(row, cells) for row, cells in zip(table, rows, strict=True) if row["p_vs_sc_allreduce"]]
    least = 1 / REPLICATIONS  # smaller ones the bootstrap does not tell
    corrected = holm([max(least, float(row["p_vs_sc_allreduce"])) for row, _ in compared])
    for (row, cells), p in zip(compared, corrected, strict=True):
        cells["p_vs_sc_allreduce"] = Cell(p_value(row), "unlike" if p < SIGNIFICANT else "")


def p_value(row: Row) -> str:
    """The p value as text; the bootstrap does not tell smaller ones apart."""
    return "< 0.0001" if float(row["p_vs_sc_allreduce"]) == 0 else row["p_vs_sc_allreduce"]


def _number(value: float | None, form: str, times: float = 1) -> str:
    return "" if value is None else format(times * value, form)


def effective(records: list[RunRecord]) -> Table:
    """What each strategy was trained with, presets and defaults filled in.

    What is the same for all is told in words."""
    values: dict[str, dict[str, str]] = {}
    for record in records:
        resolved = record.settings.get("resolved", {})
        mine = {key: f"{resolved[key]:g}" for key in ("peak_learning_rate",) if key in resolved}
        for section in ("model", "training"):
            mine |= dict(flat(resolved.get(section, {})))
        for key, value in resolved.get("options", dict(record.run.options)).items():
            mine[OPTIONS + key] = str(value)
        values.setdefault(record.run.label, mine)
    names = list(dict.fromkeys(name for mine in values.values() for name in mine))
    differ = [
        name for name in names
        if not name.startswith(OPTIONS) and len({mine.get(name) for mine in values.values()}) > 1
    ]  # fmt: skip
    rows = []
    for label, mine in values.items():
        options = {key.removeprefix(OPTIONS): value for key, value in mine.items() if key.startswith(OPTIONS)}
        cells = {"strategy": Cell(label), **{name: Cell(mine.get(name, "–")) for name in differ}}
        cells["options"] = Cell(", ".join(f"{key} {value}" for key, value in options.items()) or "–")
        rows.append(cells)
    first = next(iter(values.values()), {})
    common = {
        name: first.get(name, "") for name in names if name not in differ and not name.startswith(OPTIONS)
    }
    headings = {
        "strategy": "strategy",
        **{name: name.replace("_", " ") for name in differ},
        "options": "options",
    }
    return Table(
        headings, rows, ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in common.items())
    )
