"""The acoustic model on a learner's share of a corpus, by PyTorch's autograd (CPU or GPU)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dasr.config import AugmentConfig
from dasr.features.feed import Feed
from dasr.models import frontend
from dasr.models.acoustic import AcousticModel
from dasr.models.flat import FlatModule
from dasr.tasks.augment import augment
from dasr.tasks.own_randomness import OwnRandomness
from dasr.worlds.interface import Ready


class AutogradTask:
    """Cross-entropy of the tied states on chunks of frames."""

    def __init__(
        self,
        model: AcousticModel,
        feed: Feed,
        seed: int,
        rank: int = 0,
        device: str = "cpu",
        augmentation: AugmentConfig | None = None,
    ):
        """`feed`: this learner's, with the margin as context; `seed`: of weights, dropout, augmentation."""
        self.model = model.to(device).train()
        self.model.initialise(seed)
        self.flat = FlatModule(model, model.network.gradient_groups())
        self.feed = feed
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
        frames, mean, istd, labels = (part.to(self.device, non_blocking=True) for part in batch)
        frames = frontend.normalise(frames, mean, istd)
        with self._randomness:
            if self.augmentation:
                frames, labels = augment(frames, labels, self.augmentation)
            logits = self.model(frames)
        targets = frontend.middle_labels(labels, self.model.subsampling).long()
        total = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum"
        )
        # Divided by the outputs of the batch, counted or not: so the mean of the learners' gradients is the
        # gradient of their batches taken together.
        self.flat.backward(total / targets.numel(), ready)
        loss = total.detach() / (targets >= 0).sum().clamp_min(1)
        return float(loss) if self.device.type == "cpu" else loss

    def finish(self, weights: Tensor) -> AcousticModel:
        """The model with these weights, for saving and decoding."""
        self.flat.weights.copy_(weights)
        return self.model

    def describe_batch(self) -> object:
        return self.feed.describe()

    def state_dict(self) -> dict[str, Any]:
        return {"feed": self.feed.state_dict(), "random": self._randomness.state.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.feed.load_state_dict(state["feed"])
        self._randomness.state = state["random"].clone()
