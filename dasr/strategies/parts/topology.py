"""Mixing matrices: who averages weights with whom in a round.

A mixing lays the members out on cycles and averages along them: every T is symmetric and doubly stochastic.

    T_1 (three neighbours)  w_i <- (w_left + w_i + w_right) / 3
    random pairs            w_i <- (w_i + w_partner) / 2
    T_u                     w_i <- mean(w)

Ring: Lian et al. 2017 (arXiv 1705.09056); randomised rings and pairs: Zhang et al. 2020 (arXiv 2002.01119);
exponential graphs: Assran et al. 2019 (arXiv 1811.10792), here used in both directions.
"""

from __future__ import annotations

import functools
import math
import typing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dasr.errors import UserError, nearest
from dasr.strategies.parts.options import MixingKind

KINDS = typing.get_args(MixingKind)
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Members:
    """Who takes part in a round."""

    ranks: tuple[int, ...] = ()  # ascending
    joining: frozenset[int] = frozenset()  # those of them that have no trained model yet: replacements


@dataclass(frozen=True)
class Mixing:
    """The mixing of every round, the same on all learners: it follows from seed, round and members alone."""

    kind: str
    members: tuple[int, ...]  # ranks that take part, ascending; the cycles are laid over them
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"no mixing '{self.kind}'{nearest(self.kind, KINDS)} (known: {', '.join(KINDS)})")

    def among(self, members: tuple[int, ...]) -> Mixing:
        """The same mixing laid over other members (learners that are left)."""
        return self if members is self.members else replace(self, members=members)

    def partners(self, round_: int, rank: int) -> tuple[int, ...]:
        """Ranks whose weights `rank` averages with its own, each with weight 1 / (1 + partners)."""
        if self.kind == "uniform":
            return tuple(member for member in self.members if member != rank)
        position = self._positions[rank]
        return tuple(self.members[other] for other in self._neighbours(round_)[position])

    def mixing_matrix(self, round_: int) -> Matrix:
        """T of this round, float64 [members, members]."""
        size = len(self.members)
        matrix = np.zeros((size, size))
        for position, rank in enumerate(self.members):
            partners = [self._positions[partner] for partner in self.partners(round_, rank)]
            matrix[position, [position, *partners]] = 1.0 / (1 + len(partners))
        return matrix

    def contraction(self) -> float:
        """Worst-case factor of the squared consensus distance a round: lambda_2 of E[T'T].

        Of periodic mixings: of the product of a period's matrices, per round."""
        size = len(self.members)
        if size == 1:
            return 0.0
        if self.kind.startswith("random"):
            # Over uniformly random permutations P, E[P'MP] has one value on the diagonal and one off it.
            square = np.linalg.matrix_power(self.mixing_matrix(0), 2)
            diagonal = np.trace(square) / size
            return float(max(0.0, diagonal - (square.sum() - np.trace(square)) / (size * (size - 1))))
        period = self._period()
        product = np.eye(size)
        for round_ in range(period):
            product = product @ self.mixing_matrix(round_)
        values = np.linalg.svd(product - 1.0 / size, compute_uv=False)
        return float(values[0] ** (2 / period))

    @functools.cached_property
    def _positions(self) -> dict[int, int]:
        return _positions(self.members)

    def _period(self) -> int:
        """Rounds after which a mixing that is not random repeats itself."""
        return len(_strides(len(self.members))) if self.kind == "exponential" else 1

    def _neighbours(self, round_: int) -> tuple[tuple[int, ...], ...]:
        size = len(self.members)
        if self.kind.startswith("random"):
            return _random_cycle(size, self.seed, round_, self.kind == "random-pairs")
        strides = _strides(size) if self.kind == "exponential" else (1,)
        return _strided_cycles(size, strides[round_ % len(strides)])


def _strides(size: int) -> tuple[int, ...]:
    """1, 2, 4, ... up to half way round."""
    return tuple(1 << power for power in range(max(1, int(math.log2(max(2, size)))) if size > 1 else 1))


@functools.lru_cache(maxsize=64)
def _positions(members: tuple[int, ...]) -> dict[int, int]:
    return {rank: position for position, rank in enumerate(members)}


@functools.lru_cache(maxsize=512)
def _strided_cycles(size: int, stride: int) -> tuple[tuple[int, ...], ...]:
    count = math.gcd(size, stride)
    cycles = [[(start + step * stride) % size for step in range(size // count)] for start in range(count)]
    return _around(size, cycles)


@functools.lru_cache(maxsize=512)
def _random_cycle(size: int, seed: int, round_: int, pairs: bool) -> tuple[tuple[int, ...], ...]:
    order = np.random.default_rng([seed, round_]).permutation(size).tolist()
    return _paired(size, order) if pairs else _around(size, [order])


def _around(size: int, cycles: list[list[int]]) -> tuple[tuple[int, ...], ...]:
    """Partners of each position: both neighbours on its cycle (on a cycle of two they are one)."""
    partners: list[tuple[int, ...]] = [()] * size
    for cycle in cycles:
        for place, position in enumerate(cycle):
            around = {cycle[place - 1]: None, cycle[(place + 1) % len(cycle)]: None}
            partners[position] = tuple(other for other in around if other != position)
    return tuple(partners)


def _paired(size: int, order: list[int]) -> tuple[tuple[int, ...], ...]:
    """Partners of each position: the other one of its pair. Of an odd number the last has none."""
    partners: list[tuple[int, ...]] = [()] * size
    for left, right in zip(order[::2], order[1::2], strict=False):
        partners[left], partners[right] = (right,), (left,)
    return tuple(partners)
