"""What building blocks in `parts` may use of a learner besides `dasr.strategies.learner.Learner`. Strategies
may not: a contract of import-linter says so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, cast

from torch import Tensor

from dasr.strategies.learner import Learner
from dasr.worlds.interface import ApplyPart


class LearnerInternals(Learner, Protocol):
    """What building blocks of strategies may use besides. Every Learner has it."""

    samples: int  # seen by all learners together when the current batch began: the learning rate's argument

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        """Of the model's parameters, in the order of the flat vectors; near-square matrices where the task
        does not tell them."""
        ...

    @property
    def total_steps(self) -> int:
        """Batches of all learners together in the whole run."""
        ...

    @property
    def step_seconds(self) -> float:
        """Duration of this learner's last step(); infinite before the first."""
        ...

    @property
    def elementwise(self) -> bool:
        """Whether the optimizer updates each element by itself: no state, no norm of the whole gradient."""
        ...

    def optimizer_state(self) -> list[Tensor]:
        """The optimizer's vectors, to be changed in place between two steps."""
        ...

    def use_symmetric_weights(self) -> Tensor:
        """Move the weights into symmetric memory for good, where other GPUs of this host can write, and
        return them: the target of sharded_update(). Where the optimizer is not element-wise, `gradient`.
        All learners of the host call this."""
        ...

    def sharded_update(self, factor: float) -> AbstractContextManager[ApplyPart]:
        """Context manager for an update by parts; holds the weights' lock.

        Yields `apply(part, gradients)`: averages `gradients` (one of each learner, in the order of ranks),
        multiplies by `factor`, applies the optimizer to `weights[part]` and returns the result. Where the
        optimizer is not element-wise, the average is put into `gradient[part]` instead. Call update() once
        afterwards; every part must have been applied. compute() may be called inside."""
        ...

    def prefetch_weights(self, part: slice) -> None:
        """Start copying that part for the next compute(), after a sharded_update(). A later change of the
        weights is noticed, and they are copied again."""
        ...


def internals(learner: Learner) -> LearnerInternals:
    """For `parts` only: the same learner with its internals."""
    return cast(LearnerInternals, learner)
