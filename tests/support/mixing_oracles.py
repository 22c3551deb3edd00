"""The matrices T of every mixing by their definitions in NumPy, apart from `strategies.parts.topology`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Mixing = Callable[[int], Matrix]  # round -> T


def uniform(size: int) -> Matrix:
    return np.full((size, size), 1 / size)


def along(order: list[int], size: int, pairs: bool = False) -> Matrix:
    """T of one cycle through `order`, identity elsewhere; with `pairs`, of the pairs along it."""
    t = np.eye(size)
    length = len(order)
    if pairs:
        for place in range(0, length - 1, 2):
            i, j = order[place], order[place + 1]
            t[i, i] = t[j, j] = t[i, j] = t[j, i] = 0.5
    elif length == 2:
        t[np.ix_(order, order)] = 0.5
    elif length > 2:
        for place, i in enumerate(order):
            t[i, i] = 1 / 3
            t[i, order[place - 1]] += 1 / 3
            t[i, order[(place + 1) % length]] += 1 / 3
    return t


def mixing(kind: str, size: int, seed: int = 0) -> Mixing:
    """T of every round, by the definition of the mixing."""
    everyone = list(range(size))

    def t(round_: int) -> Matrix:
        if kind == "uniform":
            return uniform(size)
        if kind == "ring":
            return along(everyone, size)
        if kind in ("random-ring", "random-pairs"):
            order = np.random.default_rng([seed, round_]).permutation(size).tolist()
            return along(order, size, pairs=kind == "random-pairs")
        strides = [s for s in (1, 2, 4, 8, 16) if 2 * s <= size] or [1]
        stride = strides[round_ % len(strides)]
        result = np.eye(size)
        for first in range(np.gcd(stride, size)):
            cycle = [(first + i * stride) % size for i in range(size // np.gcd(stride, size))]
            result = result @ along(cycle, size)
        return result

    return t
