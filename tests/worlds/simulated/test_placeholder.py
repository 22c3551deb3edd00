"""Vectors that have a size and no values take part in training code that does not know them."""

from __future__ import annotations

import pytest
import torch

from dasr.cuda.linear_combination import combine_
from dasr.learner.optimizer import Optimizer
from dasr.learner.weights import Weights
from dasr.worlds.simulated.placeholder import PlaceholderTensor, placeholder


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_has_the_size_that_the_vector_would_have(dtype: torch.dtype) -> None:
    vector = placeholder(1000, dtype)
    part = vector[10:30]
    assert vector.dtype == part.dtype == dtype
    assert vector.nbytes == 1000 * dtype.itemsize and part.nbytes == 20 * dtype.itemsize
    assert isinstance(part, PlaceholderTensor) and len(part) == 20


def test_a_sum_of_vectors_is_where_it_was_to_go() -> None:
    out, one, other = placeholder(10), placeholder(10), placeholder(10)
    assert combine_(out, [(0.5, one), (0.5, other)]) is out
    assert combine_(out[2:4], [(0.5, one[2:4]), (0.5, other[2:4])]) is out[2:4]


def test_an_operation_that_is_not_elementwise_has_the_size_of_its_result() -> None:
    values, places = torch.topk(placeholder(1000).abs(), 10)
    assert (values.nbytes, places.nbytes) == (40, 80)


def test_weights_without_values_are_read_and_changed_without_memory() -> None:
    vector = placeholder(10)
    weights = Weights(vector)
    view = weights.snapshot_view(0.0)
    weights.add([(1.0, placeholder(10))])
    assert view is vector and weights.tensor.is_meta
    step = Optimizer(vector).step(vector, placeholder(10, torch.bfloat16), 0.1)
    assert step is vector


def test_a_factor_for_each_row_is_spread_and_a_vector_of_another_size_is_refused() -> None:
    matrix, per_row = placeholder(12).view(3, 4), placeholder(3).view(3, 1)
    assert matrix.mul_(per_row) is matrix
    with pytest.raises(RuntimeError, match="a vector of 12 elements meets one of 3"):
        matrix.mul_(placeholder(3))  # for each column there are four
    with pytest.raises(RuntimeError, match="a vector of 12 elements meets one of 24"):
        placeholder(12).add_(placeholder(24))
