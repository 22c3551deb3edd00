"""Sums of vectors, written as mathematics and evaluated in one pass over memory.

    update = v(w) - 0.5 * v(y)      nothing is computed: (1.0, w), (-0.5, y)
    update.into(out, where)         out[where] <- w[where] - 0.5 * y[where]

Building an expression takes microseconds: build it once, outside of loops, and evaluate parts of it.
Code that runs at every step writes the list of terms itself: [(1.0, w), (-0.5, y)].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from dasr.cuda.linear_combination import combine_
from dasr.worlds.interface import ALL

LinearCombination = Sequence[tuple[float, Tensor]]
"""A sum that is not evaluated yet: (factor, vector) of each term, added in their order."""


class Sum(Sequence[tuple[float, Tensor]]):
    """A linear combination with arithmetic. A vector stands in it once, where it first appeared: its factors
    are added up."""

    __slots__ = ("_terms",)

    def __init__(self, terms: list[tuple[float, Tensor]]):
        """`terms`: of different vectors."""
        self._terms = terms

    def __len__(self) -> int:
        return len(self._terms)

    def __getitem__(self, index: Any) -> Any:
        return self._terms[index]

    def __iter__(self) -> Iterator[tuple[float, Tensor]]:
        return iter(self._terms)

    def __add__(self, other: LinearCombination) -> Sum:
        terms = list(self._terms)
        for factor, vector in other:
            for place, (known, same) in enumerate(terms):
                if same is vector:
                    terms[place] = known + factor, vector
                    break
            else:
                terms.append((factor, vector))
        return Sum(terms)

    def __sub__(self, other: LinearCombination) -> Sum:
        return self + [(-factor, vector) for factor, vector in other]

    def __rmul__(self, number: float) -> Sum:
        return Sum([(number * factor, vector) for factor, vector in self._terms])

    def into(self, out: Tensor, where: slice = ALL) -> Tensor:
        """Evaluate that part of the sum into the same part of `out`, which may be one of the vectors; gives
        that part of `out`."""
        if where is ALL:
            return combine_(out, self._terms)
        return combine_(out[where], [(factor, vector[where]) for factor, vector in self._terms])


def v(vector: Tensor) -> Sum:
    """A vector, to calculate with."""
    return Sum([(1.0, vector)])
