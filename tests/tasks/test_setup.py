"""The data, feed and task of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr import config as configuration
from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.features.utterance_feed import Share, UtteranceFeed
from dasr.tasks import setup
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.utterance_task import UtteranceTask
from tests.support.aligned_corpus import small_config
from tests.support.transcribed_corpus import ctc_config


def test_utterances_too_short_for_their_units_are_rejected_and_counted(transcribed: Path) -> None:
    plain = ctc_config(transcribed).plain()
    plain["model"]["options"]["subsampling"] = 8
    few = configuration.complete(plain)
    with pytest.raises(
        UserError, match=r"of 18 utterances .* outputs are too few for .* corpus.max_bad_fraction"
    ):
        setup.feed_of(few, data := setup.data_of(few, "train"), data.model(few), Share(2, 0, 1, 0))
    plain["corpus"]["max_bad_fraction"] = 0.99
    some = configuration.complete(plain)
    feed = setup.feed_of(some, data := setup.data_of(some, "train"), data.model(some), Share(1, 0, 1, 0))
    assert isinstance(feed, UtteranceFeed)
    assert feed.rejected and feed.num_samples + len(feed.rejected) == 18


def test_the_criterion_chooses_chunks_of_frames_or_whole_utterances(corpus: Path, transcribed: Path) -> None:
    share = Share(2, 0, 1, 0)
    for config, kinds in (
        (small_config(corpus), (Feed, AutogradTask)),
        (ctc_config(transcribed), (UtteranceFeed, UtteranceTask)),
    ):
        data = setup.data_of(config, "train")
        model = data.model(config)
        feed = setup.feed_of(config, data, model, share)
        made = feed, setup.task_of(config, model, feed, share, "cpu")
        assert tuple(type(one) for one in made) == kinds
