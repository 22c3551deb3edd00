"""Which learner sees which chunk when, from numbers alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.errors import UserError
from dasr.features.order import Order

COUNTS = st.lists(st.integers(6, 30), min_size=1, max_size=9).map(lambda counts: np.array(counts, np.int64))


def seen(order: Order, epoch: int, position: int = 0) -> list[tuple[int, int]]:
    """(shard, chunk) of a learner's own chunks of one epoch, in its order."""
    found = []
    for pool in itertools.takewhile(lambda pool: pool.epoch == epoch, order.pools(epoch, position)):
        chunks = [(part.shard, c) for part in pool.slices for c in order.chunks_of(part, epoch).tolist()]
        found += [chunks[index] for index in pool.own[pool.skip :]]
    return found


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(1, 6), st.integers(1, 4), st.integers(0, 3))
def test_every_chunk_goes_to_one_learner_an_epoch_and_shares_differ_by_at_most_two(
    counts: np.ndarray, size: int, pool_shards: int, epoch: int
) -> None:
    orders = [Order(counts, rank, size, 7, pool_shards) for rank in range(size)]
    parts = [seen(order, epoch) for order in orders]
    everything = [(shard, chunk) for shard, count in enumerate(counts) for chunk in range(count)]
    assert sorted(itertools.chain(*parts)) == everything
    assert [len(part) for part in parts] == [order.chunks_in(epoch) for order in orders]
    assert max(map(len, parts)) - min(map(len, parts)) <= 2


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(1, 4), st.integers(1, 3), st.data())
def test_a_learner_goes_on_at_any_position_of_an_epoch(
    counts: np.ndarray, size: int, pool_shards: int, data: st.DataObject
) -> None:
    order = Order(counts, data.draw(st.integers(0, size - 1)), size, 3, pool_shards)
    whole = seen(order, 1)
    position = data.draw(st.integers(0, max(0, len(whole) - 1)))
    assert seen(order, 1, position) == whole[position:]


def test_another_epoch_and_another_seed_have_another_order() -> None:
    counts = np.full(4, 20, np.int64)
    first = seen(Order(counts, 0, 2, 0, 2), 0)
    assert first == seen(Order(counts, 0, 2, 0, 2), 0)
    assert first != seen(Order(counts, 0, 2, 0, 2), 1)
    assert first != seen(Order(counts, 0, 2, 1, 2), 0)


def test_a_learner_without_a_chunk_is_an_error_and_not_an_endless_search() -> None:
    with pytest.raises(UserError, match="learner 1 has no chunk of training data"):
        next(Order(np.array([1]), 1, 2, 0, 2).pools(0, 0))
