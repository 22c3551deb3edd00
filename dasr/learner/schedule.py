"""Learning rates, as functions of the samples that all learners together have seen.

    warmup-anneal   peak, times 1/sqrt(2) an epoch in the end      Cui et al. 2020 (2002.10502)
    inverse-sqrt    peak sqrt(warm-up / epoch)                     Vaswani et al. 2017 (1706.03762)
    cosine          peak (1 + cos(pi x)) / 2, x from 0 to 1        Loshchilov & Hutter 2017 (1608.03983)

All but `constant` begin with a linear warm-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from dasr.config import TrainingConfig
from dasr.errors import UserError


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up from `start` to `peak`, then peak times `shape(epoch)`."""

    peak: float  # learning rate after warm-up
    samples_per_epoch: float
    warmup_epochs: float  # large batches need it
    start: float  # learning rate at the first sample, where there is a warm-up
    shape: Callable[[float], float]  # of the epoch; 1: the peak

    def __call__(self, samples: int) -> float:
        """The learning rate of the batch that begins when all learners together have seen `samples`."""
        epoch = samples / self.samples_per_epoch
        if epoch < self.warmup_epochs:
            return self.start + (self.peak - self.start) * epoch / self.warmup_epochs
        return self.peak * self.shape(epoch)


def scale(training: TrainingConfig, batch: int) -> float:
    """By what the learning rate is multiplied for batches of `batch` samples of all learners together.

    linear: Goyal et al. 2017 (1706.02677); sqrt: Krizhevsky 2014 (1404.5997)."""
    ratio = batch / training.reference_batch
    return {"none": 1.0, "sqrt": math.sqrt(ratio), "linear": ratio}[training.rate_rule]


def make(training: TrainingConfig, samples_per_epoch: float, batch: int) -> Schedule:
    """The configured schedule for batches of `batch` samples. Raises UserError for one without a warm-up that
    needs it."""
    times, warmup = scale(training, batch), float(training.warmup_epochs)
    peak = training.learning_rate * times
    if training.schedule == "constant":
        return Schedule(peak, samples_per_epoch, 0.0, peak, lambda epoch: 1.0)
    if training.schedule == "inverse-sqrt" and not warmup:
        raise UserError("training.schedule: inverse-sqrt needs training.warmup_epochs above 0")
    start = training.learning_rate if times > 1 else training.learning_rate / 10
    shapes: dict[str, Callable[[float], float]] = {
        "warmup-anneal": lambda epoch: _annealed(epoch - training.anneal_after_epochs),
        "inverse-sqrt": lambda epoch: math.sqrt(warmup / epoch),
        "cosine": lambda epoch: _cosine((epoch - warmup) / max(training.epochs - warmup, 1e-9)),
    }
    return Schedule(peak, samples_per_epoch, warmup, start, shapes[training.schedule])


def _annealed(epochs: float) -> float:
    return 1.0 if epochs <= 0 else float(0.5 ** (epochs / 2))


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * min(1.0, done))) / 2
