"""Two results folders side by side: what changed in each run's word error rate, with paired tests.

A pair is one run with one language model that both folders have scored. The test is paired over utterances
(dasr.results.significance), so both must have scored the same ones; p values are corrected by Holm for the
number of pairs. They say nothing of the spread of trainings over seeds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dasr import checksums
from dasr.errors import UserError
from dasr.results.layout import Layout
from dasr.results.significance import holm, paired_p_value
from dasr.results.trn import read_trn

Pair = tuple[str, str]  # run, language model


@dataclass(frozen=True)
class Difference:
    """What a pair's score is in either folder (WER in percent); p: None where test sets differ."""

    run: str
    lm: str
    before: float
    after: float
    p: float | None

    def row(self) -> dict[str, str]:
        return {
            "run": self.run,
            "lm": self.lm,
            "before": f"{self.before:.2f}",
            "after": f"{self.after:.2f}",
            "difference": f"{self.after - self.before:+.2f}",
            "p": "-" if self.p is None else f"{self.p:.4f}",
        }


@dataclass(frozen=True)
class Comparison:
    """All pairs of both folders, and those that only one has."""

    differences: list[Difference]
    only_before: list[Pair]
    only_after: list[Pair]


def compare(before: Path, after: Path) -> Comparison:
    """Raises UserError where a folder has no scores, or they have no pair in common."""
    scores = [_scores(folder) for folder in (before, after)]
    common = [pair for pair in scores[0] if pair in scores[1]]
    if not common:
        raise UserError(f"{before} and {after} have no run and language model in common")
    raw = [_p_value(Layout(before).decoded(*pair), Layout(after).decoded(*pair)) for pair in common]
    corrected = iter(holm([p for p in raw if p is not None]))
    ps = [None if p is None else next(corrected) for p in raw]
    found = [
        Difference(*pair, scores[0][pair], scores[1][pair], p) for pair, p in zip(common, ps, strict=True)
    ]
    only = [
        [pair for pair in own if pair not in other]
        for own, other in zip(scores, reversed(scores), strict=True)
    ]
    return Comparison(found, *only)


def _scores(results: Path) -> dict[Pair, float]:
    """WER of each pair that was scored, sorted; not of runs that diverged. Raises UserError."""
    found = {}
    for path in sorted((results / "decode").glob("*/*/score.json")):
        record: dict[str, Any] = json.loads(checksums.check_bytes(path, path.read_bytes()))
        if "wer" in record:
            found[path.parts[-3], path.parts[-2]] = float(record["wer"])
    if not found:
        raise UserError(f"{results} is not a results folder with scores: it has no decode/RUN/LM/score.json")
    return found


def _p_value(before: Path, after: Path) -> float | None:
    references = read_trn(before / "ref.trn")
    if references != read_trn(after / "ref.trn"):
        return None
    return paired_p_value(references, read_trn(after / "test.trn"), read_trn(before / "test.trn"))
