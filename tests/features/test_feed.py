"""The feed against plain bookkeeping: who sees what, once an epoch, and a resume that changes nothing."""

import gc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.errors import UserError
from dasr.features import feed as feed_module
from dasr.features import pool
from dasr.features.feed import Batch, Feed
from dasr.features.order import Order
from dasr.features.store import Shard, Utterance, checksum, write_arrays, write_shard
from dasr.files import write_json

DIM = 3


def make_shards(folder: Path, shards: int, seed: int = 0) -> tuple[list[Path], list[Path]]:
    """Shards whose every frame is unique: values (shard, frame in shard, speaker); labels say the frame."""
    rng = np.random.default_rng(seed)
    features, alignments = [], []
    for shard in range(shards):
        utterances, start = [], 0
        for number in range(int(rng.integers(2, 6))):
            length = int(rng.integers(1, 40))
            columns = [np.full(length, shard), np.arange(start, start + length), np.full(length, number % 2)]
            utterances.append(
                Utterance(
                    f"u{shard}-{number}", f"s{shard}-{number % 2}", np.stack(columns, 1).astype(np.float32)
                )
            )
            start += length
        features.append(folder / "fbank" / f"{shard:04d}")
        write_shard(features[-1], utterances, "fbank", {"split": "train", "shard": shard, "rejected": []})
        alignments.append(folder / "ali" / f"{shard:04d}")
        offsets = np.cumsum([0, *(len(u.frames) for u in utterances)], dtype=np.int64)
        labels = np.arange(start, dtype=np.int32) + 1000 * shard
        write_arrays(alignments[-1] / "labels.zarr", {"labels": labels, "offsets": offsets}, {})
        manifest = {"rejected": [], "checksum": checksum([labels, offsets])}
        write_json(alignments[-1] / "manifest.json", manifest)
    return features, alignments


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    size=st.integers(1, 17),
    pool_shards=st.integers(1, 5),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_every_chunk_goes_to_exactly_one_learner_an_epoch(
    counts: list[int], size: int, pool_shards: int, seed: int, epoch: int
) -> None:
    seen: Counter[tuple[int, int]] = Counter()
    shares = []
    for rank in range(size):
        order = Order(np.array(counts), rank, size, seed, pool_shards)
        if order.chunks_in(epoch) == 0:
            continue
        mine: list[tuple[int, int]] = []
        for plan in order.pools(epoch, 0):
            if plan.epoch != epoch:
                break
            assert len(plan.slices) <= pool_shards
            chunks = [(p.shard, int(c)) for p in plan.slices for c in order.chunks_of(p, epoch)]
            mine += [chunks[i] for i in plan.own]
        assert len(mine) == order.chunks_in(epoch)
        shares.append(len(mine))
        seen.update(mine)
    assert seen == Counter((shard, chunk) for shard, count in enumerate(counts) for chunk in range(count))
    assert not shares or max(shares) - min([*shares, *[0] * (len(shares) < size)]) <= 2


def test_every_frame_counts_once_an_epoch_over_all_learners_with_its_label_and_speaker(
    tmp_path: Path,
) -> None:
    features, alignments = make_shards(tmp_path, 6)
    size, context, chunk = 3, 2, 7
    counted: Counter[int] = Counter()
    for rank in range(size):
        feed = Feed(features, alignments, chunk, 1, rank, size, seed=5, context=context, pool_shards=2)
        for _ in range(feed.chunks_in(0)):
            batch = feed.next()
            shard, frame, speaker = batch.frames[0, context : context + chunk].to(torch.int64).unbind(1)
            right = batch.labels[0] >= 0
            assert (batch.labels[0][right] == (1000 * shard + frame)[right]).all()
            assert (batch.mean[0, 2] == speaker[0]).item() and (batch.mean[0, 0] == shard[0]).item()
            steps = batch.frames[0, :, 1].diff()
            assert ((steps == 1) | (steps == 0)).all(), "context is the utterance's own frames, edges repeat"
            counted.update(batch.labels[0][right].tolist())
        feed.close()
    wanted = [1000 * s + f for s, folder in enumerate(features) for f in range(Shard.open(folder).num_frames)]
    assert counted == Counter(wanted)


@given(
    stop=st.integers(0, 20), rank=st.integers(0, 2), batch=st.integers(1, 6), pool_shards=st.integers(1, 3)
)
@settings(max_examples=4, deadline=None)
def test_a_resumed_feed_equals_one_never_stopped(
    shards: tuple[list[Path], list[Path]], stop: int, rank: int, batch: int, pool_shards: int
) -> None:
    def feed() -> Feed:
        return Feed(*shards, 7, batch, rank, 3, seed=1, pool_shards=pool_shards)

    whole = feed()
    expected = [whole.next() for _ in range(stop + 5)][stop:]
    first = feed()
    for _ in range(stop):
        first.next()
    second = feed()
    second.load_state_dict(first.state_dict())
    for left, right in zip(expected, (second.next() for _ in range(5)), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
    for each in (whole, first, second):
        each.close()


@pytest.mark.parametrize("pool_shards", [1, 3])
def test_batches_that_are_gathered_together_are_those_gathered_one_by_one(
    shards: tuple[list[Path], list[Path]], pool_shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over pools and epochs, with the position after each."""

    def life(at_once: int, count: int) -> list[tuple[Batch, int, int]]:
        monkeypatch.setattr(feed_module, "AT_ONCE", at_once)
        feed, seen = Feed(*shards, 7, 5, 1, 3, seed=1, pool_shards=pool_shards), []
        for _ in range(count):
            batch = feed.next()
            seen.append((batch, feed.state_dict()["epoch"], feed.state_dict()["position"]))
        feed.close()
        return seen

    count = 3 * Feed(*shards, 7, 5, 1, 3, seed=1).chunks_in(0) // 5
    one_by_one, together = life(1, count), life(8, count)
    assert one_by_one[-1][1] >= 2
    for (left, *where), (right, *there) in zip(one_by_one, together, strict=True):
        assert where == there and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    return make_shards(tmp_path_factory.mktemp("feed"), 5, seed=3)


def test_a_position_of_another_order_is_refused(shards: tuple[list[Path], list[Path]]) -> None:
    state = Feed(*shards, 7, 4, 0, 2, seed=1).state_dict()
    with pytest.raises(UserError, match="seed was 1 and is now 2"):
        Feed(*shards, 7, 4, 0, 2, seed=2).load_state_dict(state)


def test_a_truncated_shard_is_one_clear_error_from_next(tmp_path: Path) -> None:
    features, alignments = make_shards(tmp_path, 2)
    chunk = features[1] / "frames.zarr" / "frames" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-7])
    feed = Feed(features, alignments, 5, 4, 0, 1, seed=0)
    with pytest.raises(UserError, match=r"frames\.zarr is truncated or corrupt.*rerun the stage"):
        feed.next()


def test_learners_of_one_process_share_the_frames_and_a_forgotten_feed_ends_its_thread(
    tmp_path: Path,
) -> None:
    features, alignments = make_shards(tmp_path, 3)
    feeds = [Feed(features, alignments, 5, 2, rank, 4, seed=0) for rank in range(4)]
    for feed in feeds:
        feed.next()
    assert sum(str(tmp_path) in str(key) for key in pool._shared) == 1
    threads = [feed._ahead._thread for feed in feeds if feed._ahead is not None]
    assert len(threads) == 4 and all(thread.is_alive() for thread in threads)
    del feeds, feed
    gc.collect()
    assert not any(thread.is_alive() for thread in threads)
