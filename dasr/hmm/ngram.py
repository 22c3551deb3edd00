"""N-gram language models with interpolated modified Kneser-Ney smoothing (Chen, Goodman 1998), as ARPA files.

    p(w | h) = max(c(hw) - D(c(hw)), 0) / c(h) + backoff(h) p(w | h')     h': h without its oldest word
    backoff(h) = sum over w of D(c(hw)) / c(h)     the lowest order falls back on a uniform distribution
    c: occurrences at the highest order and after <s>, else the number of different words before hw

Every word of the vocabulary, seen or not, and </s> have a probability after any history; the sum is one.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dasr.errors import UserError
from dasr.hmm.lexicon_transducer import BEGIN, END

Gram = tuple[str, ...]
NEVER = -99.0  # log10 of zero in an ARPA file
DISCOUNTS_WITHOUT_DATA = (0.5, 1.0, 1.5)  # where counts of counts are too few to estimate them


@dataclass(frozen=True)
class Ngram:
    """probabilities: p(last | rest) of every n-gram, one table an order; backoffs: weight of every
    history.
    """

    probabilities: Sequence[dict[Gram, float]]
    backoffs: dict[Gram, float]

    @property
    def order(self) -> int:
        return len(self.probabilities)

    def probability(self, word: str, history: Gram) -> float:
        """p(word | history), as a reader of the ARPA file computes it."""
        history = history[max(0, len(history) - self.order + 1) :]
        gram = (*history, word)
        if gram in self.probabilities[len(history)]:
            return self.probabilities[len(history)][gram]
        return self.backoffs.get(history, 1.0) * self.probability(word, history[1:])

    def summary(self) -> str:
        return ", ".join(f"{len(table)} {n}-grams" for n, table in enumerate(self.probabilities, 1))

    def arpa(self) -> str:
        """The model in ARPA format."""
        lines = ["\\data\\", *(f"ngram {n}={len(table)}" for n, table in enumerate(self._tables(), 1)), ""]
        for n, table in enumerate(self._tables(), 1):
            lines.append(f"\\{n}-grams:")
            for gram, value in sorted(table.items()):
                line = f"{value:.6f}\t{' '.join(gram)}"
                if n < self.order and gram in self.backoffs:
                    line += f"\t{_log10(self.backoffs[gram]):.6f}"
                lines.append(line)
            lines.append("")
        return "\n".join([*lines, "\\end\\", ""])

    def _tables(self) -> list[dict[Gram, float]]:
        tables = [{gram: _log10(p) for gram, p in table.items()} for table in self.probabilities]
        tables[0][(BEGIN,)] = NEVER
        return tables


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else NEVER


def estimate(sentences: Iterable[Sequence[str]], vocabulary: Iterable[str], order: int) -> Ngram:
    """Estimate from `sentences`; words outside `vocabulary` end an n-gram. Raises UserError if nothing is
    left.
    """
    words = [*sorted(set(vocabulary)), END]
    known = {*words, BEGIN}
    counts = _counts(sentences, known, order)
    if not counts[0]:
        raise UserError(
            "no training transcript has a word of the lexicon: nothing to estimate a language model from"
        )
    lower: dict[Gram, float] = {}
    probabilities: list[dict[Gram, float]] = []
    backoffs: dict[Gram, float] = {}
    for n in range(order):
        table: dict[Gram, float] = {}
        discounts = _discounts(counts[n])
        totals: Counter[Gram] = Counter()
        removed: defaultdict[Gram, float] = defaultdict(float)
        for gram, count in counts[n].items():
            totals[gram[:-1]] += count
            removed[gram[:-1]] += discounts[min(count, 3) - 1]
        for gram, count in counts[n].items():
            history = gram[:-1]
            left = (count - discounts[min(count, 3) - 1]) / totals[history]
            below = lower[gram[1:]] if n else 1 / len(words)
            table[gram] = left + removed[history] / totals[history] * below
        if n == 0:
            unseen = removed[()] / totals[()] / len(words)
            table.update({(word,): unseen for word in words if (word,) not in table})
        else:
            backoffs.update({history: removed[history] / totals[history] for history in totals})
        probabilities.append(table)
        lower = table
    return Ngram(probabilities, backoffs)


def _counts(sentences: Iterable[Sequence[str]], known: set[str], order: int) -> list[Counter[Gram]]:
    """What each order counts: occurrences at the top and after <s>, else different words before."""
    raw: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for sentence in sentences:
        line = (BEGIN, *sentence, END)
        for n in range(order):
            for end in range(max(n, 1), len(line)):
                gram = line[end - n : end + 1]
                if all(word in known for word in gram):
                    raw[n][gram] += 1
    counts = []
    for n in range(order):
        if n == order - 1:
            counts.append(raw[n])
            continue
        before = Counter(gram[1:] for gram in raw[n + 1])
        counts.append(Counter({gram: raw[n][gram] if gram[0] == BEGIN else before[gram] for gram in raw[n]}))
    return [Counter({gram: count for gram, count in table.items() if count > 0}) for table in counts]


def _discounts(counts: Counter[Gram]) -> tuple[float, float, float]:
    """D(1), D(2), D(3 and more), from how many n-grams were counted once to four times."""
    n1, n2, n3, n4 = (sum(1 for count in counts.values() if count == n) for n in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return DISCOUNTS_WITHOUT_DATA
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return tuple(  # type: ignore[return-value]
        value if 0 < value < n else fallback
        for n, (value, fallback) in enumerate(zip(found, DISCOUNTS_WITHOUT_DATA, strict=True), 1)
    )
