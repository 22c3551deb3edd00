"""The acoustic model on whole utterances, by PyTorch's autograd (CPU or GPU)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dasr.config import AugmentConfig
from dasr.criteria import totals
from dasr.features.utterance_feed import UtteranceBatch, UtteranceFeed
from dasr.models import frontend
from dasr.models.acoustic import AcousticModel
from dasr.models.flat import FlatModule
from dasr.tasks.augment import disguised, interpolated
from dasr.tasks.own_randomness import OwnRandomness
from dasr.worlds.interface import Ready


def scored(model: AcousticModel, augmentation: AugmentConfig, batch: UtteranceBatch) -> Tensor:
    """Logits [B, T', outputs] of a batch that is on the device."""
    frames = frontend.normalise(batch.frames, batch.mean, batch.istd)
    if batch.positions.shape[1]:
        frames = interpolated(frames, batch.positions)
    frames = disguised(frames, augmentation)
    return model.utterances(frames, batch.lengths)


def total_loss(
    criterion: str, model: AcousticModel, batch: UtteranceBatch, logits: Tensor, targets: Tensor
) -> Tensor:
    """The sum of the losses of `batch`, which is on the host; its logits and targets are on the device."""
    if criterion == "ctc":
        return totals.ctc(logits, model.output_lengths(batch.lengths), targets, batch.target_lengths)
    return totals.cross_entropy(logits, frontend.middle_labels(targets, model.subsampling))


class UtteranceTask:
    """Cross-entropy of the labels, or CTC of the units, on batches of padded utterances.

    The sum over the batch is divided by what a learner's batch holds on average, which is the same for all:
    so the mean of the learners' gradients is the gradient of their batches taken together. The loss is that
    sum, so divided; over an epoch its mean is the loss a label (or unit)."""

    def __init__(
        self,
        model: AcousticModel,
        feed: UtteranceFeed,
        criterion: str,
        seed: int,
        rank: int = 0,
        device: str = "cpu",
        augmentation: AugmentConfig | None = None,
    ):
        """`criterion`: "ce" or "ctc"; `seed`: of weights, dropout, augmentation."""
        self.model = model.to(device).train()
        self.model.initialise(seed)
        self.flat = FlatModule(model, model.network.gradient_groups())
        self.feed, self.criterion = feed, criterion
        self.augmentation = augmentation or AugmentConfig()
        self.device = torch.device(device)
        self.num_parameters = self.flat.weights.numel()
        self._randomness = OwnRandomness(self.device, seed * 100_003 + rank)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        return self.flat.shapes

    def initial(self) -> Tensor:
        return self.flat.weights.clone()

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> Tensor | float:
        self.flat.weights.copy_(weights)
        self.flat.point_gradients_at(gradient)
        batch = self.feed.next()
        with self._randomness:
            total = self.total(batch)
        loss = total / self.feed.normaliser
        self.flat.backward(loss, ready)
        loss = loss.detach()
        return float(loss) if self.device.type == "cpu" else loss

    def total(self, batch: UtteranceBatch) -> Tensor:
        """The sum of the losses of a batch."""
        there = UtteranceBatch(*(part.to(self.device, non_blocking=True) for part in batch))
        logits = scored(self.model, self.augmentation, there)
        return total_loss(self.criterion, self.model, batch, logits, there.targets)

    def finish(self, weights: Tensor) -> AcousticModel:
        """The model with these weights, for saving and decoding."""
        self.flat.weights.copy_(weights)
        return self.model

    def describe_batch(self) -> str:
        return self.feed.describe()

    def state_dict(self) -> dict[str, Any]:
        return {"feed": self.feed.state_dict(), "random": self._randomness.state.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.feed.load_state_dict(state["feed"])
        self._randomness.state = state["random"].clone()
