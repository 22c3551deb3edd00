"""The losses of a learner's batches: looked at seldom, where they are on a device, and all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dasr.cuda.streams import record_event
from dasr.errors import UserError

UNCHECKED = 50  # losses on a device that are read together, so that training never waits for them

_Said = tuple[int, float | Tensor, object]  # step, loss, batch


@dataclass
class _Coming:
    """Losses on their way from the device: in `numbers`, on the host, once `arrived`."""

    said: list[_Said]
    numbers: Tensor
    arrived: torch.cuda.Event | None  # None: at once


class Losses:
    """What `rank` has computed since it was last asked."""

    def __init__(self, rank: int):
        self.rank = rank
        self._new: list[_Said] = []  # not yet looked at
        self._coming: _Coming | None = None  # came before those
        self._sum, self._count = 0.0, 0

    def add(self, step: int, loss: float | Tensor, batch: object) -> None:
        """`batch`: which data, for the error that names it. Raises UserError as look() does: at once for a
        number, within 2 * UNCHECKED steps for a tensor on a device."""
        self._new.append((step, loss, batch))
        if isinstance(loss, float) and not math.isfinite(loss):
            self.look()
        elif len(self._new) >= UNCHECKED:
            self._fetch()

    def look(self) -> None:
        """Raise UserError naming the first loss that is not finite."""
        self._look_at_coming()
        taken, self._new = self._new, []
        self._enter(taken, _numbers([loss for _, loss, _ in taken]))

    def _fetch(self) -> None:
        """Look at what was fetched before, and start fetching the new ones."""
        self._look_at_coming()
        tensors = [loss for _, loss, _ in self._new if isinstance(loss, Tensor)]
        if len(tensors) < len(self._new) or not tensors[0].is_cuda:
            return self.look()
        numbers = torch.stack(tensors).to("cpu", non_blocking=True)
        self._coming, self._new = _Coming(self._new, numbers, record_event(tensors[0])), []

    def _look_at_coming(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            if coming.arrived is not None:
                coming.arrived.synchronize()
            self._enter(coming.said, coming.numbers.tolist())

    def _enter(self, said: list[_Said], numbers: list[float]) -> None:
        for (step, _, batch), loss in zip(said, numbers, strict=True):
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
