"""From the configuration to what a learner is given: the budget, and the learning rate over samples."""

from __future__ import annotations

from dasr.config import TrainingConfig
from dasr.errors import UserError
from dasr.learner import schedule
from dasr.learner.learner import Budget
from dasr.learner.schedule import Schedule

ADAMW_LIMIT = 0.05  # no learning rate above it trains: each step moves every weight by about the rate


def budget(training: TrainingConfig, num_chunks: int, batch: int, learners: int) -> Budget:
    """What all learners compute together, for a training set of `num_chunks` chunks. Raises UserError."""
    return Budget(max(1, round(training.epochs * num_chunks / batch)), batch, learners)


def rates(training: TrainingConfig, num_chunks: int, batch: int) -> Schedule:
    """The learning rate as a function of the samples that all learners have seen. Raises UserError for one
    with which nothing can be learned."""
    made = schedule.make(training, num_chunks, batch)
    if training.optimizer.kind == "adamw" and made.peak > ADAMW_LIMIT:
        raise UserError(
            f"learning_rate {training.learning_rate:g} (batch {batch}: {made.peak:g}) is too high for adamw, "
            f"whose steps do not depend on the gradient's length: at most {ADAMW_LIMIT}, 0.001 to begin with"
        )
    return made
