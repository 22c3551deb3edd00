"""The losses of a learner's batches: looked at seldom, where they are on a device, and all at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dasr.errors import UserError

UNCHECKED = 50  # losses on a device that are not looked at, so that training never waits for them


class Losses:
    """What `rank` has computed since it was last asked."""

    def __init__(self, rank: int):
        self.rank = rank
        self._new: list[tuple[int, float | Tensor, str]] = []  # not yet looked at
        self._sum, self._count = 0.0, 0

    def add(self, step: int, loss: float | Tensor, batch: str) -> None:
        """`batch`: which data, for the error that names it. Raises UserError as look() does."""
        self._new.append((step, loss, batch))
        bad = isinstance(loss, float) and not math.isfinite(loss)
        if bad or len(self._new) >= UNCHECKED:
            self.look()

    def look(self) -> None:
        """Raise UserError naming the first loss that is not finite."""
        taken, self._new = self._new, []
        for (step, _, batch), loss in zip(taken, _numbers([loss for _, loss, _ in taken]), strict=True):
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at step {step} of learner {self.rank} (batch {batch}): "
                    "lower training.learning_rate, set training.clip, or look for bad features in that batch"
                )
            self._sum, self._count = self._sum + loss, self._count + 1

    def mean(self) -> float:
        """Mean since this was last asked; nan of none. Raises UserError if one is not finite."""
        self.look()
        mean = self._sum / self._count if self._count else math.nan
        self._sum, self._count = 0.0, 0
        return mean

    def state(self) -> tuple[float, int]:
        return self._sum, self._count

    def load_state(self, state: tuple[float, int]) -> None:
        self._sum, self._count = state


def _numbers(losses: list[float | Tensor]) -> list[float]:
    """On a device all of them are read at once: each reading waits for what the device has still to do."""
    tensors = [loss for loss in losses if isinstance(loss, Tensor)]
    if len(tensors) < len(losses) or not tensors:
        return [float(loss) for loss in losses]
    read: list[float] = torch.stack(tensors).tolist()
    return read
