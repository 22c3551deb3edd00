"""From the configuration to what a learner is given: the budget, and the learning rate over samples."""

from __future__ import annotations

from dasr.config import TrainingConfig
from dasr.learner import schedule
from dasr.learner.learner import Budget
from dasr.learner.schedule import Schedule


def budget(training: TrainingConfig, num_chunks: int, batch: int, learners: int) -> Budget:
    """What all learners compute together, for a training set of `num_chunks` chunks. Raises UserError."""
    return Budget(max(1, round(training.epochs * num_chunks / batch)), batch, learners)


def rates(training: TrainingConfig, num_chunks: int, batch: int) -> Schedule:
    """The learning rate as a function of the samples that all learners have seen."""
    return schedule.make(
        training.schedule,
        training.learning_rate,
        samples_per_epoch=num_chunks,
        warmup_epochs=training.warmup_epochs,
        anneal_after_epochs=training.anneal_after_epochs,
        scale=batch / training.reference_batch,
    )
