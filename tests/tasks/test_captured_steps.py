"""Steps of any network: the losses and gradients of the tasks that run by autograd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr import config as configuration
from dasr.config import AugmentConfig, Config
from dasr.features.utterance_feed import Share, UtteranceFeed
from dasr.tasks import setup
from dasr.tasks.captured_task import CapturedTask
from tests.support import transcribed_corpus
from tests.support.aligned_corpus import small_config
from tests.support.transcribed_corpus import ctc_config

CONFORMER = {"kind": "conformer", "options": {"layers": 1, "width": 8, "heads": 2, "dropout": 0.0}}
DNN = {"kind": "dnn", "options": {}}


@pytest.fixture(scope="module")
def transcribed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return transcribed_corpus.make(tmp_path_factory.mktemp("transcribed"))


def chunks(corpus: Path, transcribed: Path) -> Config:
    return configuration.complete({**small_config(corpus).plain(), "model": DNN})


def labels(corpus: Path, transcribed: Path) -> Config:
    return configuration.complete({**small_config(corpus, samples="utterances").plain(), "model": CONFORMER})


def units(corpus: Path, transcribed: Path) -> Config:
    return ctc_config(transcribed)


def both(config: Config, batch: int = 3, **options: Any) -> tuple[CapturedTask, setup.AcousticTask]:
    """The captured task of a learner, and the one that runs by autograd."""
    made: list[Any] = []
    for captured in (True, False):
        data, share = setup.data_of(config, "train"), Share(batch, 0, 1, 0)
        model = data.model(config)
        feed = setup.feed_of(config, data, model, share)
        if captured:
            criterion = config.training.criterion
            made.append(CapturedTask(model, feed, 0, device="cpu", criterion=criterion, **options))
        else:
            made.append(setup.task_of(config, model, feed, share, "cpu"))
    return made[0], made[1]


@pytest.mark.parametrize("make", [chunks, labels, units])
def test_gradient_equals_autograd_and_every_element_is_announced_once(
    make: Any, corpus: Path, transcribed: Path
) -> None:
    captured, reference = both(make(corpus, transcribed))
    weights = captured.initial()
    assert torch.equal(weights, reference.initial())
    gradient, expected = torch.full_like(weights, torch.nan), torch.empty_like(weights)
    for _ in range(2):
        announced = torch.zeros_like(weights, dtype=torch.int32)

        def ready(part: Tensor, announced: Tensor = announced) -> None:
            announced[part.storage_offset() : part.storage_offset() + part.numel()] += 1

        captured.load_weights(weights, gradient)
        loss = captured.gradient(weights, gradient, ready)
        assert loss == pytest.approx(reference.gradient(weights, expected, lambda _: None), rel=1e-5)
        assert (announced == 1).all()
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
        assert str(captured.describe_batch()) == str(reference.describe_batch())
        weights -= 0.1 * gradient


def test_the_longest_shape_is_made_first_and_all_are_there_before_training(
    corpus: Path, transcribed: Path
) -> None:
    captured, _ = both(units(corpus, transcribed))
    weights = captured.initial()
    captured.load_weights(weights, torch.zeros_like(weights))
    feed = captured.feed
    assert isinstance(feed, UtteranceFeed)
    steps: Any = captured._steps
    lengths = [shape[1] - 2 * feed.context for shape in steps._steps]
    assert lengths == sorted(feed.plan.frames, reverse=True)


def test_masks_are_drawn_in_the_step(corpus: Path, transcribed: Path) -> None:
    """A feed of the same utterances gives another loss each time its frames are hidden at random."""
    config = units(corpus, transcribed)
    hidden, plain = (
        both(config, augmentation=augmentation)[0]
        for augmentation in (AugmentConfig(mask_frames=10), AugmentConfig())
    )
    weights = hidden.initial()
    losses = []
    for task in (hidden, plain):
        gradient = torch.zeros_like(weights)
        task.load_weights(weights, gradient)
        losses.append(task.gradient(weights, gradient, lambda _: None))
    assert losses[0] != losses[1]
