"""A decoding graph of two words, and the best path through it by an exhaustive recursion."""

from __future__ import annotations

import numpy as np

# Two words, A (tied states 0 1) and B (2 0); each state loops; a word's label is on its first arc.
ARCS = [  # from, to, pdf, word, cost
    (0, 1, 0, 1, 0.2), (1, 1, 0, 0, 0.3), (1, 2, 1, 0, 0.9), (2, 2, 1, 0, 0.3),
    (0, 3, 2, 2, 1.7), (3, 3, 2, 0, 0.3), (3, 4, 0, 0, 0.9), (4, 4, 0, 0, 0.3),
    (2, 1, 0, 1, 0.7), (2, 3, 2, 2, 2.2), (4, 1, 0, 1, 0.7), (4, 3, 2, 2, 2.2),
]  # fmt: skip


FINAL = {2: 0.1, 4: 0.4}


def viterbi(scores: np.ndarray, scale: float) -> tuple[float, list[int], list[int]]:
    """Cost, words and pdfs of the best path: an exhaustive dynamic programme over ARCS."""
    best: dict[int, tuple[float, list[int], list[int]]] = {0: (0.0, [], [])}
    for row in scores:
        after: dict[int, tuple[float, list[int], list[int]]] = {}
        for start, end, pdf, word, cost in ARCS:
            if start in best:
                so_far, words, pdfs = best[start]
                total = so_far + cost - scale * row[pdf]
                if end not in after or total < after[end][0]:
                    after[end] = (total, words + [word] * (word > 0), [*pdfs, pdf])
        best = after
    ends = [
        (cost + FINAL[state], words, pdfs) for state, (cost, words, pdfs) in best.items() if state in FINAL
    ]
    return min(ends)


def random_scores(seed: int, frames: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 3)).astype(np.float32) * 3
