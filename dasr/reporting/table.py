"""The report's tables: which columns, how numbers are written, what is emphasised."""

from __future__ import annotations

from dataclasses import dataclass

from dasr.results.comparison import Row
from dasr.results.records import RunRecord, flat

SIGNIFICANT = 0.05
HEADINGS = {
    "strategy": "strategy", "learners": "learners", "batch": "batch", "seed": "seed", "samples": "samples",
    "seconds": "training, s", "frames_per_s": "frames/s", "heldout_ce": "held-out CE, nats/frame",
    "wer_unigram": "WER %, unigram", "interval_unigram": "95 % interval",
    "wer_ngram": "WER %, n-gram", "interval_ngram": "95 % interval", "p_vs_sc_allreduce": "p vs sc-allreduce",
    "mb_sent_per_learner": "MB sent a learner", "wait_fraction": "waiting %", "staleness_mean": "staleness",
    "training": "training", "diverged": "diverged",
}  # fmt: skip
SELDOM = ("training", "diverged")  # columns that are shown where they say something
SHAPE = ("learners", "batch", "seed", "samples")  # told once, above the table, where they do not differ
FORMATS = {
    "samples": ",.0f", "seconds": ",.1f", "frames_per_s": ",.0f", "heldout_ce": ".3f",
    "mb_sent_per_learner": ",.0f", "staleness_mean": ".1f",
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
    """comparison.tsv as it is read: per cent, separators, an interval for each language model."""
    several = [row for row in table if row["strategy"] != "single"] or table
    constant = [name for name in SHAPE if len({row[name] for row in several}) == 1]
    left_out = {*constant, *(name for name in SELDOM if not any(row.get(name) for row in table))}
    shown = {name: heading for name, heading in HEADINGS.items() if name not in left_out}
    best = {lm: _lowest(records, lm) for lm in ("unigram", "ngram")}
    rows = []
    for record, row in zip(records, table, strict=True):
        texts = dict(row) | {name: _number(row[name], form) for name, form in FORMATS.items()}
        texts["wait_fraction"] = _number(row["wait_fraction"], ".1f", 100)
        for lm in best:
            score = record.scores.get(lm)
            interval = f"{score['wer_low']:.2f} – {score['wer_high']:.2f}" if score else ""
            texts[f"interval_{lm}"] = interval
        cells = {name: Cell(texts[name] or "–") for name in shown}
        for lm, name in best.items():
            if record.run.name == name:
                cells[f"wer_{lm}"] = Cell(cells[f"wer_{lm}"].text, "best")
        if row["p_vs_sc_allreduce"] and float(row["p_vs_sc_allreduce"]) < SIGNIFICANT:
            cells["p_vs_sc_allreduce"] = Cell(p_value(row), "unlike")
        rows.append(cells)
    same = ", ".join(f"{name} {_number(several[0][name], ',.0f')}" for name in constant)
    return Table(shown, rows, same)


def p_value(row: Row) -> str:
    """The p value as text; the bootstrap does not tell smaller ones apart."""
    return "< 0.0001" if float(row["p_vs_sc_allreduce"]) == 0 else row["p_vs_sc_allreduce"]


def _lowest(records: list[RunRecord], lm: str) -> str:
    """The run whose interval of the WER lies below those of all others; empty if there is none."""
    scores = sorted(
        (one.scores[lm]["wer_high"], one.scores[lm]["wer_low"], one.run.name)
        for one in records
        if lm in one.scores
    )
    if len(scores) < 2:
        return ""
    (high, _, name), others = scores[0], scores[1:]
    return name if all(high < low for _, low, _ in others) else ""


def _number(text: str, form: str, times: float = 1) -> str:
    return format(times * float(text), form) if text else ""


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
