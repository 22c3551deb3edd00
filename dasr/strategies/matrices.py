"""The weight matrices that lie in a flat vector: codecs compress each of them by itself.

A model's parameters follow each other in the vector in the order of their shapes. A parameter with one axis
is a matrix of one row; one with more than two axes (a convolution) has its first axis as rows, as in
PyTorch's PowerSGD hook.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Matrix:
    """A part of a vector, row after row."""

    begin: int  # its first element's place in the vector
    rows: int
    columns: int

    @property
    def where(self) -> slice:
        return slice(self.begin, self.begin + self.rows * self.columns)

    def of(self, vector: Tensor) -> Tensor:
        """[rows, columns], a view."""
        return vector[self.where].view(self.rows, self.columns)


def near_square(length: int) -> list[Shape]:
    """Shapes for a vector about which nothing is known: a matrix as square as possible, and what is left."""
    rows = max(1, math.isqrt(length))
    left = length % rows
    return [(rows, length // rows), *([(left,)] if left else [])]


def shard_edges(length: int, shards: int) -> list[int]:
    """Where the shards that `tensor_split` makes of a vector begin, and where the last one ends."""
    size, longer = divmod(length, shards)
    return [size * shard + min(shard, longer) for shard in range(shards + 1)]


def matrices_in(shapes: Sequence[Shape], begin: int, end: int) -> tuple[Matrix, ...]:
    """The matrices in elements `begin` to `end` of the vector, their places counted from `begin`.

    Of a matrix that is cut, the whole rows are a matrix, and the pieces of rows one row each."""
    found: list[Matrix] = []
    first = 0
    for shape in shapes:
        size = math.prod(shape)
        low, high = max(first, begin), min(first + size, end)
        if low < high:
            columns = size // shape[0] if len(shape) > 1 else size
            found += _rows(low - first, high - first, columns, first - begin)
        first += size
    return tuple(found)


def _rows(low: int, high: int, columns: int, shift: int) -> Iterator[Matrix]:
    """Elements `low` to `high` of a matrix that begins at place `shift`."""
    top, bottom = -(-low // columns) * columns, high // columns * columns
    if top > high:  # within one row
        yield Matrix(low + shift, 1, high - low)
        return
    if low < top:
        yield Matrix(low + shift, 1, top - low)
    if top < bottom:
        yield Matrix(top + shift, (bottom - top) // columns, columns)
    if bottom < high:
        yield Matrix(bottom + shift, 1, high - bottom)
