"""Epoch plans of whole utterances: complete, even, little padding, in bounded memory."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from dasr.errors import UserError
from dasr.features.epochs import Buckets, EpochPlan, padded_lengths

Ints = NDArray[np.int64]


def lengths_like_librispeech(count: int, seed: int = 0) -> Ints:
    """Frames: most utterances were cut to 11 to 17 s, some are shorter."""
    draw = np.random.default_rng(seed)
    long = draw.triangular(1000, 1560, 1720, count)
    short = draw.triangular(130, 900, 1250, count)
    return np.where(draw.random(count) < 0.8, long, short).astype(np.int64)


def plan_of(
    lengths: list[Ints], batch: int, learners: int, buckets: Buckets, pool_shards: int = 2
) -> EpochPlan:
    frames = padded_lengths(np.bincount(np.concatenate(lengths)))
    counts = np.array([len(one) for one in lengths])
    return EpochPlan(counts, frames, batch, learners, 3, buckets, pool_shards)


CASES = list(
    itertools.product([(23, 40, 31, 17, 29), (9,)], [1, 3, 8], [1, 2, 3, 5], ["aligned", "independent"])
)


@pytest.mark.parametrize(("counts", "batch", "learners", "buckets"), CASES)
def test_each_utterance_comes_once_an_epoch_and_all_learners_have_as_many_batches(
    counts: tuple[int, ...], batch: int, learners: int, buckets: Buckets
) -> None:
    lengths = [lengths_like_librispeech(count, seed) for seed, count in enumerate(counts)]
    plan = plan_of(lengths, batch, learners, buckets)
    for epoch in range(2):
        pools = plan.pools(epoch)
        assert sorted(itertools.chain.from_iterable(pools)) == list(range(len(counts)))
        for number, pool in enumerate(pools):
            own = np.concatenate([lengths[shard] for shard in sorted(pool)])
            places = [list(plan.places(epoch, number, own, rank)) for rank in range(learners)]
            assert {len(one) for one in places} == {plan.steps(pool)}
            seen = np.concatenate([place.utterances for one in places for place in one])
            assert sorted(seen.tolist()) == list(range(len(own)))
            for place in itertools.chain.from_iterable(places):
                assert len(place.utterances) <= batch
                assert own[place.utterances].max(initial=0) <= place.frames
                assert len(place.utterances) or batch == 1
            if buckets == "aligned":
                assert all(len({place.frames for place in step}) == 1 for step in zip(*places, strict=True))


def test_padded_lengths_are_the_best_of_all_choices() -> None:
    counts = np.zeros(13, np.int64)
    counts[[3, 4, 7, 8, 12]] = [5, 1, 9, 2, 4]

    def padding(chosen: tuple[int, ...]) -> int:
        return sum(int(n) * min(c - i for c in chosen if c >= i) for i, n in enumerate(counts) if n)

    choices = [(*some, 12) for some in itertools.combinations(range(3, 12), 2)]
    assert padding(padded_lengths(counts, 3)) == min(map(padding, choices))
    assert padded_lengths(counts, 12) == (3, 4, 7, 8, 12)
    assert all(one % 4 == 0 for one in padded_lengths(counts, 3, multiple=4))


@pytest.mark.parametrize("buckets", ["aligned", "independent"])
def test_at_most_6_percent_of_frames_are_padding_with_a_dozen_lengths(buckets: Buckets) -> None:
    lengths = lengths_like_librispeech(6000)
    plan = plan_of([lengths], 8, 4, buckets)
    assert len(plan.frames) <= 12
    places = [place for rank in range(4) for place in plan.places(0, 0, lengths, rank)]
    padded = sum(place.frames * len(place.utterances) for place in places)
    assert 1 - lengths.sum() / padded <= 0.06


def test_epochs_differ_and_a_plan_made_again_is_the_same() -> None:
    lengths = [lengths_like_librispeech(100)]
    plan, again = (plan_of(lengths, 4, 2, "aligned") for _ in range(2))

    def first(one: EpochPlan, epoch: int) -> list[int]:
        return list(map(int, next(one.places(epoch, 0, lengths[0], 1)).utterances))

    assert first(plan, 0) == first(again, 0) != first(plan, 1)


def test_planning_2_million_utterances_takes_a_few_megabytes() -> None:
    """2,400 shards of 1,000: only a pool's lengths are ever at hand."""
    counts = np.full(2400, 1000)
    histogram = np.bincount(lengths_like_librispeech(20_000))
    tracemalloc.start()
    plan = EpochPlan(counts, padded_lengths(histogram, multiple=8), 16, 64, 0)
    pools = plan.pools(7)
    steps = sum(plan.steps(pool) for pool in pools)
    for number in (0, 300, len(pools) - 1):
        own = lengths_like_librispeech(int(counts[list(pools[number])].sum()), number)
        assert len(list(plan.places(7, number, own, 63))) == plan.steps(pools[number])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 2_400_000 / 1024 <= steps < 1.03 * 2_400_000 / 1024
    assert peak < 8e6


def test_fewer_utterances_than_learners_are_refused() -> None:
    with pytest.raises(UserError, match="3 utterances cannot be shared by 4 learners"):
        EpochPlan(np.array([3]), (5,), 1, 4, 0).steps((0,))
