"""Which matrices lie in a part of a flat vector, against matrices of element numbers."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from dasr.strategies import matrices

SHAPES = [(3, 4), (5,), (2, 3, 2), (1, 6)]  # 12 + 5 + 12 + 6 elements
SIZE = 35


@pytest.mark.parametrize("begin", range(SIZE))
def test_every_element_of_a_part_is_in_one_matrix_and_rows_are_rows_of_the_parameter(begin: int) -> None:
    numbers = torch.arange(SIZE)
    row_of, first = [], 0
    for shape in SHAPES:
        columns = math.prod(shape[1:]) if len(shape) > 1 else shape[0]
        row_of += [(first, place // columns) for place in range(math.prod(shape))]
        first += math.prod(shape)
    for end in range(begin + 1, SIZE + 1):
        found = matrices.matrices_in(SHAPES, begin, end)
        rows = [row.tolist() for matrix in found for row in matrix.of(numbers[begin:end])]
        assert [element for row in rows for element in row] == list(range(begin, end))
        assert all(len({row_of[element] for element in row}) == 1 for row in rows)


def test_a_whole_vector_holds_its_parameters_as_matrices() -> None:
    found = matrices.matrices_in(SHAPES, 0, SIZE)
    assert [(one.rows, one.columns) for one in found] == [(3, 4), (1, 5), (2, 6), (1, 6)]


@pytest.mark.parametrize("length", [1, 2, 3, 23, 36, 1000])
def test_a_vector_of_unknown_shapes_is_a_near_square_matrix_and_a_rest(length: int) -> None:
    shapes = matrices.near_square(length)
    assert sum(math.prod(shape) for shape in shapes) == length
    rows, columns = shapes[0]
    assert rows <= columns <= rows + 2 and math.prod(shapes[0]) > length - rows


@pytest.mark.parametrize("length", [1, 7, 8, 9])
def test_shards_are_those_of_tensor_split(length: int) -> None:
    for shards in range(1, length + 1):
        edges = matrices.shard_edges(length, shards)
        sizes = [len(part) for part in torch.zeros(length).tensor_split(shards)]
        assert [b - a for a, b in itertools.pairwise(edges)] == sizes
