"""Gradients of the acoustic model on learners' shares of a corpus."""

from pathlib import Path

import torch
from torch import Tensor

from dasr.config import AugmentConfig, complete
from dasr.features.feed import Batch, Feed
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.data import AlignedShards
from tests.support.aligned_corpus import small_config


def nothing(part: Tensor) -> None:
    """Nobody waits for slices."""


class Given(Feed):
    """A feed of one batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch_ = batch

    def next(self) -> Batch:
        return self.batch_


def gradient_of(task: AutogradTask) -> tuple[float | Tensor, Tensor]:
    gradient = torch.zeros(task.num_parameters)
    loss = task.gradient(task.initial(), gradient, nothing)
    return loss, gradient


def test_the_mean_of_learners_gradients_is_the_gradient_of_their_batches_together(corpus: Path) -> None:
    plain = small_config(corpus).plain()
    config = complete({**plain, "model": {**plain["model"], "dropout": 0.0}})
    data = AlignedShards.of(config, "train")
    feed = data.feed(data.model(config), 7, 12, 0, 1, seed=0)
    batch = next(b for b in iter(feed.next, None) if (b.labels < 0).any())  # shares with unequal counts
    feed.close()
    parts = [Batch(*(tensor[i : i + 4] for tensor in batch)) for i in (0, 4, 8)]
    whole = gradient_of(AutogradTask(data.model(config), Given(batch), seed=1))[1]
    shares = [gradient_of(AutogradTask(data.model(config), Given(part), seed=1))[1] for part in parts]
    torch.testing.assert_close(torch.stack(shares).mean(0), whole)


def test_dropout_and_augmentation_go_on_where_a_checkpoint_left_them(corpus: Path) -> None:
    config = small_config(corpus)
    data = AlignedShards.of(config, "train")
    augmentation = AugmentConfig(stretch=0.1, warp=0.1, mask_bins=2, mask_frames=1)

    def task() -> AutogradTask:
        model = data.model(config)
        return AutogradTask(model, data.feed(model, 7, 4, 0, 1, seed=0), 3, augmentation=augmentation)

    first = task()
    gradient_of(first)
    state = first.state_dict()
    loss, expected = gradient_of(first)
    torch.rand(7)  # whoever else draws
    second = task()
    second.load_state_dict(state)
    assert gradient_of(second)[0] == loss
    second.load_state_dict(state)
    assert torch.equal(gradient_of(second)[1], expected)
    assert gradient_of(second)[0] != loss
    first.feed.close()
    second.feed.close()
