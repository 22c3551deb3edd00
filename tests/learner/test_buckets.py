"""A gradient's parts joined to buckets: together they are the whole, each once."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dasr.learner.buckets import Buckets


def buckets_of(length: int, parts: list[slice], elements: int) -> list[slice]:
    gradient, found = torch.zeros(length), list[slice]()
    buckets = Buckets(gradient, elements * gradient.element_size() / 2**20, found.append)
    for part in parts:
        buckets.ready(gradient[part])
    buckets.finish()
    return found


def test_neighbours_are_joined_until_a_bucket_is_full() -> None:
    parts = [slice(8, 10), slice(5, 8), slice(4, 5), slice(0, 4)]
    assert buckets_of(10, parts, 4) == [slice(5, 10), slice(0, 5)]


def test_a_gradient_without_announced_parts_is_one_bucket() -> None:
    assert buckets_of(7, [], 2) == [slice(0, 7)]


@pytest.mark.parametrize("elements", [1, 3, 100])
@given(edges=st.sets(st.integers(1, 29)))
def test_buckets_cover_the_gradient_once_from_its_end(elements: int, edges: set[int]) -> None:
    places = [0, *sorted(edges), 30]
    parts = [slice(*pair) for pair in itertools.pairwise(places)]
    found = buckets_of(30, parts[::-1], elements)
    assert found[0].stop == 30 and found[-1].start == 0
    assert all(one.start == other.stop for one, other in itertools.pairwise(found))
    assert all(one.stop - one.start >= elements for one in found[:-1])
