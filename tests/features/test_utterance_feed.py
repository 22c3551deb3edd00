"""Batches of whole utterances: each once an epoch, and a resumed feed goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from dasr.errors import UserError
from dasr.features.store import Shard
from dasr.features.utterance_feed import Share, UtteranceBatch, UtteranceFeed
from dasr.tasks import setup
from dasr.tasks.augment import interpolated
from dasr.tasks.data import AlignedShards
from dasr.tasks.targets import AlignedTargets
from tests.support.aligned_corpus import small_config
from tests.support.transcribed_corpus import ctc_config


def batches_of(feed: UtteranceFeed, count: int) -> list[UtteranceBatch]:
    return [feed.next() for _ in range(count)]


def names_of(feed: UtteranceFeed) -> list[str]:
    """The utterances of the last batch, in its order."""
    return feed.describe().removeprefix("of utterances ").split(" in epoch")[0].split(", ")


def recorded_lengths(shards: Sequence[Path]) -> dict[str, int]:
    """Frames of each utterance."""
    found: dict[str, int] = {}
    for shard in map(Shard.open, shards):
        found.update(zip(shard.utterances, np.diff(shard.offsets).tolist(), strict=True))
    return found


@pytest.mark.parametrize("stretch", [0.0, 0.1])
@pytest.mark.parametrize("buckets", ["aligned", "independent"])
def test_a_resumed_feed_goes_on_bit_for_bit(transcribed: Path, buckets: str, stretch: float) -> None:
    config = ctc_config(transcribed, buckets=buckets, augment={"stretch": stretch})
    data = setup.data_of(config, "train")

    def feed() -> UtteranceFeed:
        made = setup.feed_of(config, data, data.model(config), Share(2, 1, 2, 0))
        assert isinstance(made, UtteranceFeed)
        return made

    first, second = feed(), feed()
    batches_of(first, 7)  # into the second epoch of five batches
    second.load_state_dict(first.state_dict())
    for one, other in zip(batches_of(first, 6), batches_of(second, 6), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert second.describe().startswith("of utterances s") and second.describe().endswith("in epoch 2")
    first.close()
    second.close()


def test_every_utterance_comes_once_with_its_frames_and_units(transcribed: Path) -> None:
    config = ctc_config(transcribed)
    data = setup.data_of(config, "train")
    expected = sorted((frames.shape[0], tuple(units.tolist())) for frames, units in data.utterances())
    found = []
    for rank in range(2):
        feed = setup.feed_of(config, data, data.model(config), Share(2, rank, 2, 0))
        for batch in batches_of(feed, 5):  # type: ignore[arg-type]
            for row in range(2):
                length, units = int(batch.lengths[row]), int(batch.target_lengths[row])
                if length:
                    found.append((length, tuple(batch.targets[row, :units].tolist())))
        feed.close()
    assert sorted(found) == expected


def test_speeds_change_from_epoch_to_epoch_and_all_three_occur_on_every_learner(transcribed: Path) -> None:
    config = ctc_config(transcribed, augment={"stretch": 0.1})
    data = setup.data_of(config, "train")
    recorded = recorded_lengths(data.features)
    played: list[dict[str, int]] = [{}, {}]
    for rank in range(2):
        feed = setup.feed_of(config, data, data.model(config), Share(2, rank, 2, 0))
        assert isinstance(feed, UtteranceFeed)
        for number in range(10):
            batch = feed.next()
            played[number // 5].update(zip(names_of(feed), batch.lengths.tolist(), strict=False))
        feed.close()
    for epoch in played:
        assert epoch.keys() == recorded.keys()
        assert {round(recorded[name] / length, 1) for name, length in epoch.items()} == {0.9, 1.0, 1.1}
    assert played[0] != played[1]


@pytest.mark.parametrize("context", [0, 3])
def test_frames_and_labels_of_a_stretched_utterance_are_those_of_its_time(corpus: Path, context: int) -> None:
    """Against NumPy's interpolation of the recording, over the middles of frames."""
    data = AlignedShards.of(small_config(corpus), "train")
    targets = AlignedTargets(data.alignments, 1)
    feed = UtteranceFeed(data.features, targets, Share(2, 0, 1, 0), context=context, stretch=0.2)
    shard_of = {name: shard for shard in map(Shard.open, data.features) for name in shard.utterances}
    labels_of = {
        name: labels
        for index, folder in enumerate(data.features)
        for name, labels in zip(
            Shard.open(folder).utterances, targets.of_shard(index, Shard.open(folder)), strict=True
        )
    }
    speeds = set()
    for _ in shard_of:
        batch = feed.next()
        read = interpolated(batch.frames.float(), batch.positions)
        for row, name in enumerate(names_of(feed)):
            shard, length = shard_of[name], int(batch.lengths[row])
            place = shard.utterances.index(name)
            own = shard.read_frames()[shard.offsets[place] : shard.offsets[place + 1]].astype(np.float64)
            middles = (np.arange(-context, length + context) + 0.5) * len(own) / length
            expected = [np.interp(middles, np.arange(len(own)) + 0.5, column) for column in own.T]
            np.testing.assert_allclose(
                read[row, : length + 2 * context].numpy(), np.stack(expected, 1), atol=1e-3
            )
            inner = middles[context : context + length]
            clear = np.abs(inner - np.rint(inner)) > 1e-6  # of an edge between two frames
            labels = np.asarray(labels_of[name])[inner.astype(int)]
            assert batch.targets[row, :length].numpy()[clear].tolist() == labels[clear].tolist()
            speeds.add(round(len(own) / length, 1))
    feed.close()
    assert speeds == {0.8, 1.0, 1.2}


def test_a_position_of_another_learner_is_refused(transcribed: Path) -> None:
    config = ctc_config(transcribed)
    data = setup.data_of(config, "train")
    first, second = (setup.feed_of(config, data, data.model(config), Share(2, rank, 2, 0)) for rank in (0, 1))
    with pytest.raises(UserError, match="rank was 0 and is now 1"):
        second.load_state_dict(first.state_dict())
