"""What the configuration, a run's entry and its strategy say about training, put together for one run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from dasr.config import TrainingConfig, overridden
from dasr.learner import optimizer
from dasr.learner.optimizer import Optimizer
from dasr.strategies import registry


def training_of(
    training: TrainingConfig, strategy: str, changes: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """What a run of that strategy is trained with: `changes` (its entry's) before what the strategy brings
    before the configuration's.

    A strategy that is defined with an optimizer brings a rate for it, where the configuration has another
    optimizer. Raises UserError."""
    changes, found = dict(changes or {}), registry.find(strategy)
    kind = changes.get("optimizer", found.optimizer or training.optimizer.kind)
    brought: dict[str, Any] = {}
    if kind == found.optimizer and kind != training.optimizer.kind:
        brought = {"optimizer": kind, "momentum": 0.0}
        if found.learning_rate is not None:
            brought |= {"learning_rate": found.learning_rate, "rate_rule": "none"}
    return overridden(training, brought | changes, f"strategy '{strategy}'")


def optimizer_of(
    training: TrainingConfig, strategy: str, batch: int, learners: int
) -> Callable[[Tensor], Optimizer]:
    """What makes a learner's optimizer. `batch`: of all learners together."""
    return optimizer.of(training, clip_of(training, strategy, batch, learners))


def clip_of(training: TrainingConfig, strategy: str, batch: int, learners: int) -> float | None:
    """The longest gradient that a learner applies as it is.

    A mean over b samples whose noise dominates is sqrt(B / b) times as long as one over B. By the rule
    `local-batch` such a gradient may be as much longer than `clip`, which is meant for reference_batch."""
    if training.clip is None or training.clip_rule == "none":
        return training.clip
    applied = batch if registry.find(strategy).averages_gradients else max(1, batch // learners)
    return float(training.clip * math.sqrt(training.reference_batch / applied))
