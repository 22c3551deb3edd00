"""Which word error rates differ, as far as utterances and seeds tell.

    D = WER(a) - WER(b), each a mean over the runs of one strategy (seeds), on the same utterances
    p = two-sided, from replications of D:
        utterances drawn with replacement, the same for all strategies       (Bisani & Ney 2004, paired)
        + s sqrt(1 / runs of a + 1 / runs of b) t                            (other seeds, other machines)

s is the standard deviation of runs that differ in nothing but the seed: pooled over the strategies of the
comparison, t with as many degrees of freedom; with one run each that of `KNOWN`, else there is no test: one
run each does not say what another run would give. All pairs are tested, for which one is the lowest was
learned from the same data; p is corrected for their number (Holm).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from kaldialign import edit_distance

from dasr.errors import UserError
from dasr.results.significance import REPLICATIONS, holm
from dasr.results.trn import read_trn

KNOWN = {("an4", "demo"): 0.68}
"""(corpus, preset) -> s in points of WER. AN4: twelve repeats of `ad` reach from 7.24 to 9.44 %; the range of
twelve normal values is 3.26 standard deviations in the mean."""
BLOCK = 2**22  # numbers drawn at once
Key = TypeVar("Key", bound=Hashable)
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How far runs differ that only the seed tells apart."""

    points: float  # standard deviation, points of WER
    degrees: float  # of freedom of that estimate; infinite: taken as exact


def spread_of(rates: Sequence[Sequence[float]], known: float | None = None) -> Spread | None:
    """Pooled over groups of runs (WER in percent, a number a run); `known` where no group has two runs."""
    degrees = sum(len(group) - 1 for group in rates)
    if not degrees:
        return None if known is None else Spread(known, math.inf)
    squares = sum(float(np.square(np.array(group) - np.mean(group)).sum()) for group in rates)
    return Spread(math.sqrt(squares / degrees), degrees)


def p_values(errors: Mapping[Key, Matrix], words: Matrix, spread: Spread) -> dict[frozenset[Key], float]:
    """Holm-corrected p of each pair of strategies. `errors`: [runs, utterances]; `words`: [utterances], of
    the references. The same input gives the same numbers."""
    draw = np.random.default_rng(0)
    names = list(errors)
    rates = _replications(np.stack([errors[name].mean(0) for name in names]), words, draw)
    pairs = list(itertools.combinations(range(len(names)), 2))
    raw = []
    for a, b in pairs:
        scale = spread.points * math.sqrt(1 / len(errors[names[a]]) + 1 / len(errors[names[b]]))
        noise = _noise(spread.degrees, draw)
        differences = rates[:, a] - rates[:, b] + scale * noise
        least = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
        raw.append(min(1.0, 2.0 * (least + 1) / (REPLICATIONS + 1)))
    corrected = holm(raw)
    return {frozenset((names[a], names[b])): p for (a, b), p in zip(pairs, corrected, strict=True)}


def _noise(degrees: float, draw: np.random.Generator) -> Matrix:
    if math.isinf(degrees):
        return draw.normal(size=REPLICATIONS)
    return draw.standard_t(degrees, REPLICATIONS)


def _replications(errors: Matrix, words: Matrix, draw: np.random.Generator) -> Matrix:
    """WER in percent [replications, strategies], the same utterances in each row. `errors`: [strategies,
    utterances]."""
    count = len(words)
    found = []
    for size in _blocks(REPLICATIONS, max(1, BLOCK // count)):
        times = draw.multinomial(count, np.full(count, 1 / count), size).astype(np.float64)
        found.append(100.0 * (times @ errors.T) / np.maximum(times @ words, 1.0)[:, None])
    return np.concatenate(found)


def _blocks(whole: int, size: int) -> list[int]:
    return [min(size, whole - begin) for begin in range(0, whole, size)]


def errors_of(references: Mapping[str, Sequence[str]], decoded: Path) -> Matrix:
    """Errors of one run in each utterance of `references`, in their order. `decoded`: the folder with its
    test.trn. Raises UserError where that holds other utterances."""
    said = read_trn(decoded / "test.trn")
    if set(said) != set(references):
        raise UserError(f"{decoded} was scored on other utterances: decode and score all runs again")
    return np.array(
        [edit_distance(words, said[utterance])["total"] for utterance, words in references.items()],
        np.float64,
    )


def lengths(references: Mapping[str, Sequence[str]]) -> Matrix:
    """Words of each utterance."""
    return np.array([len(words) for words in references.values()], np.float64)


def stacked(runs: Sequence[Matrix]) -> Matrix:
    """[runs, utterances]."""
    return np.stack(runs)
