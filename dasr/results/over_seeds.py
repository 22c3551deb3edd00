"""comparison.tsv over seeds: a line a strategy, and what may be said of the lowest word error rate."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from dasr.results.significance import SIGNIFICANT

LM_TITLES = {"unigram": "unigram LM", "ngram": "n-gram LM"}
Row = dict[str, str]


@dataclass(frozen=True)
class Entry:
    """Rows of the table that differ in their seed only."""

    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        return self.rows[0]["strategy"]

    def values(self, column: str) -> list[float]:
        return [float(row[column]) for row in self.rows if row[column]]

    def mean(self, column: str) -> float | None:
        """None where no run has a value."""
        values = self.values(column)
        return statistics.fmean(values) if values else None

    def range(self, column: str, form: str) -> str:
        """Least and greatest; empty for fewer than two runs."""
        values = self.values(column)
        return f"{min(values):{form}} - {max(values):{form}}" if len(values) > 1 else ""


def entries(table: list[Row]) -> list[Entry]:
    """In the order of the table."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in table:
        key = tuple(row[name] for name in ("strategy", "training", "learners", "batch"))
        found.setdefault(key, []).append(row)
    return [Entry(tuple(rows)) for rows in found.values()]


def several_seeds(all_entries: list[Entry]) -> bool:
    return any(len(entry.rows) > 1 for entry in all_entries)


def names(all_entries: list[Entry]) -> list[str]:
    """What each is called in a sentence: with its size where sizes differ."""
    sizes = {(one.rows[0]["learners"], one.rows[0]["batch"]) for one in all_entries if one.label != "single"}
    if len(sizes) < 2:
        return [one.label for one in all_entries]
    return [f"{one.label} (L={one.rows[0]['learners']}, B={one.rows[0]['batch']})" for one in all_entries]


def winner(all_entries: list[Entry], lm: str) -> Entry | None:
    """The one whose WER is lower than that of every other, where the tests say so; else None."""
    scored = [entry for entry in all_entries if entry.values(f"wer_{lm}")]
    if len(scored) < 2:
        return None
    lowest = _lowest(scored, lm)
    others = [_p(entry, lm) for entry in scored if entry is not lowest]
    return lowest if all(p is not None and p < SIGNIFICANT for p in others) else None


def sentences(table: list[Row]) -> list[str]:
    """What the tests say of the lowest word error rate with each language model; and of runs without one."""
    every = entries(table)
    called = {id(entry): name for entry, name in zip(every, names(every), strict=True)}
    said = []
    for lm, title in LM_TITLES.items():
        scored = [entry for entry in every if entry.values(f"wer_{lm}")]
        if len(scored) > 1:
            said.append(f"Word error rate ({title}): {_verdict(scored, lm, called)}")
    tested = [row["run_spread"] for row in table if row["run_spread"]]
    if said and tested:
        source = (
            "from these seeds"
            if several_seeds(every)
            else "measured before on this corpus, as there is one run each"
        )
        said.append(
            f"The tests allow for runs that differ by {tested[0]} points (standard deviation, {source}) "
            f"and are corrected for {_pairs(every)} comparisons (Holm)."
        )
    nothing = [f"{r['strategy']} (seed {r['seed']})" for r in table if float(r["wer_unigram"] or 0) >= 100]
    if nothing:
        said.append(
            f"Word error rates of 100 % and more say that nothing was recognised: {', '.join(nothing)}."
        )
    return said


def _verdict(scored: list[Entry], lm: str, called: dict[int, str]) -> str:
    lowest = _lowest(scored, lm)
    others = [entry for entry in scored if entry is not lowest]
    known = {id(entry): _p(entry, lm) for entry in others}
    if any(p is None for p in known.values()):
        return (
            "no difference shown: one run each does not tell strategies from chance; give several "
            "`comparison.seeds`."
        )
    alike = [called[id(one)] for one in others if (known[id(one)] or 0.0) >= SIGNIFICANT]
    unlike = [called[id(one)] for one in others if (known[id(one)] or 0.0) < SIGNIFICANT]
    mean = lowest.mean(f"wer_{lm}")
    if not alike:
        return (
            f"{called[id(lowest)]} has the lowest, {mean:.2f} % (p < {SIGNIFICANT} against each other one)."
        )
    higher = f"; {', '.join(unlike)} higher than {called[id(lowest)]}" if unlike else ""
    return f"no difference shown between {', '.join([called[id(lowest)], *alike])}{higher}."


def _lowest(scored: list[Entry], lm: str) -> Entry:
    """The one that the others were tested against; without tests the lowest mean."""
    untested = [entry for entry in scored if _p(entry, lm) is None]
    return min(untested, key=lambda entry: entry.mean(f"wer_{lm}") or 0.0)


def _p(entry: Entry, lm: str) -> float | None:
    values = entry.values(f"p_vs_lowest_{lm}")
    return values[0] if values else None


def _pairs(all_entries: list[Entry]) -> int:
    scored = sum(bool(entry.values("wer_unigram") or entry.values("wer_ngram")) for entry in all_entries)
    return scored * (scored - 1) // 2
