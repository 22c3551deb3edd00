"""Intervals of word error rates, and the significance of differences between two systems.

Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004; the
unit drawn is the utterance. Many comparisons: Holm, "A simple sequentially rejective multiple test
procedure", Scandinavian Journal of Statistics 6, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import kaldialign

Words = Sequence[str]
REPLICATIONS = 10_000
SIGNIFICANT = 0.05


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in the order given: each may be compared with the level that
    all tests together shall keep."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda one: p_values[one])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def student(t: float, degrees: int) -> float:
    """Two-sided p of Student's t (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(abs(t) / math.sqrt(degrees))
    cosine, odd = math.cos(angle), degrees % 2
    term, series = (cosine, cosine) if odd else (1.0, 1.0)
    for k in range(2 + odd, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        series += term
    if odd:
        within = 2 / math.pi * (angle + (math.sin(angle) * series if degrees > 1 else 0.0))
    else:
        within = math.sin(angle) * series
    return min(1.0, max(0.0, 1.0 - within))


def interval(references: Mapping[str, Words], said: Mapping[str, Words]) -> tuple[float, float]:
    """Bisani & Ney's 95 % interval of the WER, percent."""
    found = kaldialign.bootstrap_wer_ci(*_paired(references, said), replications=REPLICATIONS)
    return 100.0 * max(found["ci95min"], 0.0), 100.0 * found["ci95max"]


def paired_p_value(
    references: Mapping[str, Words], system: Mapping[str, Words], baseline: Mapping[str, Words]
) -> float:
    """Two-sided p-value of a difference in errors between two systems, from paired bootstrap replications.

    Twice the share of replications in which the seemingly better system is not better; 1 for equal
    systems."""
    refs, ours = _paired(references, system)
    _, theirs = _paired(references, baseline)
    better = kaldialign.bootstrap_wer_ci(refs, theirs, ours, replications=REPLICATIONS)["p_s2_improv_over_s1"]
    worse = kaldialign.bootstrap_wer_ci(refs, ours, theirs, replications=REPLICATIONS)["p_s2_improv_over_s1"]
    return float(min(1.0, 2.0 * min(1.0 - better, 1.0 - worse)))


def _paired(
    references: Mapping[str, Words], said: Mapping[str, Words]
) -> tuple[list[list[str]], list[list[str]]]:
    return [list(words) for words in references.values()], [list(said[u]) for u in references]
