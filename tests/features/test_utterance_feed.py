"""Batches of whole utterances: each once an epoch, and a resumed feed goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dasr.errors import UserError
from dasr.features.utterance_feed import Share, UtteranceBatch, UtteranceFeed
from dasr.tasks import setup
from tests.support.transcribed_corpus import ctc_config


def batches_of(feed: UtteranceFeed, count: int) -> list[UtteranceBatch]:
    return [feed.next() for _ in range(count)]


@pytest.mark.parametrize("buckets", ["aligned", "independent"])
def test_a_resumed_feed_goes_on_bit_for_bit(transcribed: Path, buckets: str) -> None:
    config = ctc_config(transcribed, buckets=buckets)
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


def test_a_position_of_another_learner_is_refused(transcribed: Path) -> None:
    config = ctc_config(transcribed)
    data = setup.data_of(config, "train")
    first, second = (setup.feed_of(config, data, data.model(config), Share(2, rank, 2, 0)) for rank in (0, 1))
    with pytest.raises(UserError, match="rank was 0 and is now 1"):
        second.load_state_dict(first.state_dict())
