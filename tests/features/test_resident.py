"""The resident feed against the feed that reads as it goes: the same batches, resumed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.features import pool
from dasr.features.feed import Feed
from dasr.features.resident import BLOCK_BYTES, ResidentFeed
from tests.features.test_feed import make_shards

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    return make_shards(tmp_path_factory.mktemp("resident"), 6)


def seen(feed: Feed, count: int) -> list[tuple[Any, ...]]:
    """What `count` batches hold, and where the feed says that it is after each."""
    found = []
    for _ in range(count):
        batch = feed.next()
        found.append((*(part.tolist() for part in batch), feed.state_dict()))
    return found


SHARES = st.tuples(st.integers(1, 7), st.integers(0, 4), st.just(5), st.integers(0, 99))
"""(batch, rank, size, seed)"""


@given(
    chunk=st.integers(2, 9),
    share=SHARES,
    context=st.integers(0, 3),
    pool_shards=st.integers(1, 7),
    skipped=st.integers(0, 20),
)
@settings(max_examples=12, deadline=None)
def test_its_batches_are_those_of_a_feed_from_any_position(
    shards: tuple[list[Path], list[Path]],
    chunk: int,
    share: tuple[int, int, int, int],
    context: int,
    pool_shards: int,
    skipped: int,
) -> None:
    place = (*shards, chunk, *share, context, pool_shards)
    feed, resident = Feed(*place), ResidentFeed(CPU, *place)
    seen(feed, skipped)
    resident.load_state_dict(feed.state_dict())
    assert seen(resident, 20) == seen(feed, 20)
    feed.close()


def test_a_block_of_batches_is_bounded(
    shards: tuple[list[Path], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = (*shards, 4, 2, 0, 1, 0)
    whole = ResidentFeed(CPU, *place)
    monkeypatch.setattr("dasr.features.resident.BLOCK_BYTES", 1)
    one_by_one = ResidentFeed(CPU, *place)
    assert seen(one_by_one, 30) == seen(whole, 30)
    assert len(one_by_one.next().frames.untyped_storage()) == 2 * 4 * 3 * 2  # one batch of float16
    assert len(whole.next().frames.untyped_storage()) <= BLOCK_BYTES


def test_all_learners_of_a_process_hold_one_copy_of_the_data(
    shards: tuple[list[Path], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, ...]] = []
    inner = pool.read_frames

    def noted(source: pool.Source, indices: tuple[int, ...]) -> pool.Frames:
        read.append(indices)
        return inner(source, indices)

    monkeypatch.setattr(pool, "read_frames", noted)
    feeds = [ResidentFeed(CPU, *shards, 5, 2, rank, 3, 0) for rank in range(3)]
    for feed in feeds:
        seen(feed, 40)
    assert read == [tuple(range(6))]
