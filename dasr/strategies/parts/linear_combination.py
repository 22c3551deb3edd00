"""Sums of vectors, written as mathematics and evaluated in one pass over memory.

    update = v(w) - 0.5 * v(y)      nothing is computed: (1.0, w), (-0.5, y)
    update.part(where).into(out)    out <- w[where] - 0.5 * y[where]

Building an expression takes some tens of microseconds: build it once, outside of loops, and take parts of it.
Code that runs at every step writes the list of terms itself: [(1.0, w), (-0.5, y)].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

from dasr.cuda.linear_combination import combine_

LinearCombination = Sequence[tuple[float, Tensor]]
"""A sum that is not evaluated yet: (factor, vector) of each term, added in their order."""


class Sum(Sequence[tuple[float, Tensor]]):
    """A linear combination with arithmetic. A vector stands in it once, where it first appeared: its factors
    are added up."""

    __slots__ = ("_terms",)

    def __init__(self, terms: Iterable[tuple[float, Tensor]]):
        self._terms: dict[int, tuple[float, Tensor]] = {}
        for factor, vector in terms:
            known = self._terms.get(id(vector))
            self._terms[id(vector)] = (factor if known is None else known[0] + factor), vector

    def __len__(self) -> int:
        return len(self._terms)

    def __getitem__(self, index: Any) -> Any:
        return list(self._terms.values())[index]

    def __iter__(self) -> Iterator[tuple[float, Tensor]]:
        return iter(self._terms.values())

    def __add__(self, other: LinearCombination) -> Sum:
        return Sum([*self, *other])

    def __sub__(self, other: LinearCombination) -> Sum:
        return Sum([*self, *((-factor, vector) for factor, vector in other)])

    def __rmul__(self, number: float) -> Sum:
        return Sum((number * factor, vector) for factor, vector in self)

    def part(self, where: slice) -> Sum:
        """The same sum of that part of each vector."""
        return Sum((factor, vector[where]) for factor, vector in self)

    def into(self, out: Tensor) -> Tensor:
        """Evaluate into `out`, which may be one of the vectors; gives `out`."""
        return combine_(out, self)


def v(vector: Tensor) -> Sum:
    """A vector, to calculate with."""
    return Sum([(1.0, vector)])
