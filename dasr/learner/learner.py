"""One learner: flat weights, a task that gives gradients, a local optimizer, boundaries between steps.

The same class serves processes and virtual time. Another activity (mixing) may change the weights at any
moment, through add(); so the gradient is computed on a copy, and every change is made under one lock.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dasr.cuda.linear_combination import combine_
from dasr.errors import UserError
from dasr.learner.buckets import Buckets
from dasr.learner.losses import Losses
from dasr.learner.optimizer import Optimizer
from dasr.learner.weights import Weights
from dasr.strategies.learner import BUCKET_MB, OnBucket, OnPart
from dasr.strategies.linear_combination import LinearCombination
from dasr.strategies.matrices import near_square
from dasr.tasks.task import CopiesWeights, HasShapes, Task
from dasr.worlds.interface import ALL, ApplyPart, Ready, World

PATIENCE_S = 1.0  # most that snapshot_view() waits for an update which applies what is deferred


@dataclass(frozen=True)
class Budget:
    """How much all learners of a run compute together: the same for every strategy."""

    steps: int  # batches of all learners together
    batch: int  # samples (chunks) in such a batch
    learners: int

    def __post_init__(self) -> None:
        if self.batch % self.learners:
            raise UserError(
                f"a batch of {self.batch} chunks cannot be shared equally by {self.learners} learners: "
                "choose comparison.batch as a multiple of the learners"
            )

    @property
    def local_batch(self) -> int:
        """Samples in one learner's batch."""
        return self.batch // self.learners

    @property
    def claims(self) -> int:
        """Learners' batches in the whole run."""
        return self.steps * self.learners

    @property
    def samples(self) -> int:
        return self.steps * self.batch


class Callbacks(Protocol):
    """What happens at step boundaries besides training: metrics, snapshots, checkpoints, the stop flag."""

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        """False: stop here. `together`: all learners are at the boundary of the same step."""
        ...

    def at(self, step: int, doing: str) -> None:
        """Told what the learner does now: compute, wait (for others) and so on."""
        ...


class Learner:
    """A `dasr.strategies.learner.Learner` with its `LearnerInternals`, over any Task."""

    def __init__(
        self,
        world: World,
        task: Task,
        optimizer: Callable[[Tensor], Optimizer],
        schedule: Callable[[int], float],
        budget: Budget,
        keeper: Callbacks | None = None,
    ):
        """`schedule`: samples seen by all learners -> learning rate; `keeper`: None in simulation."""
        self.world = world
        self.task = task
        self._weights = Weights(task.initial())
        # Where the gradient is taken; a task on a GPU keeps such a copy itself, in its own type.
        self._taking = task if isinstance(task, CopiesWeights) else None  # asked once: it takes 40 us
        kind = self.weights.dtype if self._taking is None else self._taking.gradient_dtype
        self.gradient = world.symmetric_like(torch.empty_like(self.weights, dtype=kind))
        self.optimizer = optimizer(self.weights)
        self.schedule = schedule
        self.budget = budget
        self.keeper = keeper
        self.steps = 0
        self.samples = 0  # seen by all learners together when the current batch began
        self._point = torch.empty_like(self.weights) if self._taking is None else None
        self._updated_by_parts = False  # by sharded_update(): this step is made already
        self._taken: object = None  # the weights' state, where prefetch_weights() has copied all of them
        self._to_take = 0  # elements that it has not copied yet
        self._losses = Losses(world.rank)
        self._claimed = 0  # index of the last batch taken from the shared budget
        self._asynchronous = False  # the last step boundary was claim_batch()
        self._unrecorded = False  # the last update's staleness is not known yet
        self._finished = False  # no step follows
        self.step_seconds = math.inf  # of the last step()

    @property
    def weights(self) -> Tensor:
        return self._weights.settled()

    async def begin_step(self) -> bool:
        """Step boundary of a synchronous strategy; False when the budget is spent or a stop was agreed on."""
        self.samples = self.steps * self.budget.batch
        self._asynchronous = False
        going = self.steps < self.budget.steps
        if going and self.keeper is not None:
            going = await self.keeper.on_step_boundary(self, together=True)
        self._finished = not going
        return going

    async def claim_batch(self) -> bool:
        """Step boundary of an asynchronous strategy: take the next batch of the shared budget."""
        self._asynchronous = True
        if self.keeper is not None and not await self.keeper.on_step_boundary(self, together=False):
            self._finished = True
            return False
        index = await self.world.count("batches", 1)
        if self._unrecorded:
            self.record_staleness(max(0, min(index, self.budget.claims) - self._claimed - 1))
        self._claimed = index
        self.samples = min(index, self.budget.claims) * self.budget.local_batch
        self._finished = index >= self.budget.claims
        return not self._finished

    async def compute(self, on_bucket: OnBucket | None = None, bucket_mb: float = BUCKET_MB) -> None:
        """Gradient of the next local batch at the current weights. Raises UserError for NaN."""
        buckets = None if on_bucket is None else Buckets(self.gradient, bucket_mb, on_bucket)
        if self.keeper is not None:
            self.keeper.at(self.steps, "compute")
        await self.world.compute(self._compute, None if buckets is None else buckets.ready)
        if self.keeper is not None:
            self.keeper.at(self.steps, "wait")
        if buckets is not None:
            buckets.finish()

    def _compute(self, ready: Ready) -> None:
        with self._weights.locked():
            self._weights.settle()
            weights = self._weights.tensor
            point = weights if self._point is None else self._point.copy_(weights)
            if self._taking is not None and self._taken != self._weights.state():
                self._taking.load_weights(point, self.gradient)
            self._taken = None
        loss = self.task.gradient(point, self.gradient, ready)
        self._losses.add(self.steps, loss, self.task.describe_batch())

    def look_at_losses(self) -> None:
        """Raise UserError naming the first loss that is not finite."""
        self._losses.look()

    def mean_loss(self) -> float:
        """Mean of the losses since this was last asked. Raises UserError if one is not finite."""
        return self._losses.mean()

    def update(
        self, gradient: Tensor | None = None, staleness: int | None = None, mixed: LinearCombination = ()
    ) -> None:
        """Add `mixed`, apply the local optimizer, both in one pass where possible, and count the step."""
        gradient = self.gradient if gradient is None else gradient
        held = self._weights
        with held.locked():
            mixed, rate = (*held.deferred(), *mixed), self.learning_rate()
            if not self._updated_by_parts:
                held.tensor = self.optimizer.step(held.tensor, gradient, rate, mixed, held.room())
            elif mixed:
                held.change(mixed)
            self._updated_by_parts = False
        self.steps += 1
        self._unrecorded = staleness is None and self._asynchronous
        if not self._unrecorded:
            self.record_staleness(staleness or 0)

    async def step(self, on_part: OnPart | None = None) -> None:
        """One local step. With an element-wise optimizer `on_part` is called during the backward pass."""
        began = self.world.now()
        if on_part is None or not self.elementwise:
            await self.compute()
            self.update()
            if on_part is not None:
                on_part(slice(0, len(self.gradient)), self.weights)
        else:
            await self._step_by_parts(on_part)
        self.step_seconds = self.world.now() - began

    async def _step_by_parts(self, on_part: OnPart) -> None:
        with self.sharded_update(1.0) as apply:
            await self.compute(lambda part: on_part(part, apply(part, [self.gradient[part]])))
        self.update()

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        """Of the task's parameters."""
        if isinstance(self.task, HasShapes):
            return self.task.shapes
        return near_square(len(self.gradient))

    @property
    def total_steps(self) -> int:
        return self.budget.steps

    @property
    def elementwise(self) -> bool:
        return self.optimizer.elementwise

    def use_symmetric_weights(self) -> Tensor:
        return self._weights.move_into(self.world.symmetric_like) if self.elementwise else self.gradient

    @contextlib.contextmanager
    def sharded_update(self, factor: float) -> Iterator[ApplyPart]:
        held, new = self._weights, None

        def make(where: slice, gradients: Sequence[Tensor]) -> Tensor:
            nonlocal new
            mean = [(factor / len(gradients), gradient) for gradient in gradients]
            if not self._updated_by_parts:
                return combine_(self.gradient[where], mean)
            new = held.room() if new is None else new  # not earlier: a gradient may be taken here first
            return self.optimizer.step_part(held.tensor[where], mean, rate, new[where])

        with held.locked():
            rate, self._updated_by_parts = self.learning_rate(), self.elementwise
            self._to_take = len(self.gradient)
            yield make
            held.tensor = held.tensor if new is None else new

    def prefetch_weights(self, part: slice) -> None:
        if self._taking is None or not self.elementwise or self._to_take <= 0:
            return
        with self._weights.lock:  # the caller's stream has waited for these weights, others are on their way
            self._taking.load_weights(self._weights.tensor, self.gradient, part)
            self._to_take -= part.stop - part.start
            self._taken = self._weights.state() if self._to_take == 0 else None

    def record_staleness(self, staleness: int) -> None:
        """Enter the staleness of the last update, where update() was not told."""
        self._unrecorded = False
        histogram = self.world.accounts.staleness
        histogram[staleness] = histogram.get(staleness, 0) + 1

    def learning_rate(self) -> float:
        return self.schedule(self.samples)

    def optimizer_state(self) -> list[Tensor]:
        return list(self.optimizer.state.values())

    def copy(self) -> Tensor:
        return self._weights.copy()

    def snapshot_view(self) -> Tensor:
        update_follows = self.world.concurrent and not self._finished
        return self._weights.snapshot_view(min(PATIENCE_S, 2 * self.step_seconds) if update_follows else 0.0)

    def assign(self, model: Tensor, part: slice = ALL) -> None:
        self._weights.assign(model, part)

    def add(self, delta: LinearCombination, deferred: bool = False) -> None:
        if deferred:
            self._weights.defer(delta)
        else:
            self._weights.add(delta)

    def state_dict(self) -> dict[str, Any]:
        """Everything that this learner's next step depends on, as copies."""
        with self._weights.locked():
            self._weights.settle()
            return {
                "weights": self.weights.clone(),
                "optimizer": self.optimizer.state_dict(),
                "task": self.task.state_dict(),
                "steps": self.steps,
                "samples": self.samples,
                "losses": self._losses.state(),
            }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.weights.copy_(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.task.load_state_dict(state["task"])
        self.steps, self.samples = int(state["steps"]), int(state["samples"])
        self._losses.load_state(state["losses"])
