"""Learning rates, as functions of the samples that all learners together have seen."""

from __future__ import annotations

from dataclasses import dataclass

from dasr.errors import UserError, nearest


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up from `start` to `peak`, then constant, then times 1/sqrt(2) an epoch (the paper).

    Without warm-up and annealing it is constant.
    """

    peak: float  # learning rate after warm-up
    samples_per_epoch: float
    warmup_epochs: float = 0.0  # large batches need it
    start: float = 0.0  # learning rate at the first sample, where there is a warm-up
    anneal_after_epochs: float | None = None  # None: never

    def __call__(self, samples: int) -> float:
        """The learning rate of the batch that begins when all learners together have seen `samples`."""
        epoch = samples / self.samples_per_epoch
        if epoch < self.warmup_epochs:
            return self.start + (self.peak - self.start) * epoch / self.warmup_epochs
        if self.anneal_after_epochs is None or epoch <= self.anneal_after_epochs:
            return self.peak
        return float(self.peak * 0.5 ** ((epoch - self.anneal_after_epochs) / 2))


def make(
    kind: str,
    learning_rate: float,
    samples_per_epoch: float,
    warmup_epochs: float,
    anneal_after_epochs: float,
    scale: float = 1.0,
) -> Schedule:
    """The schedule `kind` of the config. `scale`: of the rate for large batches, reached by the warm-up
    (batch / the batch that the rate was chosen for). Raises UserError for an unknown kind."""
    kinds = ("constant", "warmup-anneal")
    if kind not in kinds:
        raise UserError(f"no schedule '{kind}'{nearest(kind, kinds)}")
    if kind == "constant":
        return Schedule(learning_rate * scale, samples_per_epoch)
    start = learning_rate if scale > 1 else learning_rate / 10
    return Schedule(learning_rate * scale, samples_per_epoch, warmup_epochs, start, anneal_after_epochs)
