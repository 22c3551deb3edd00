"""One learner as a strategy sees it: flat vectors, a gradient, a local optimizer, a world to talk to.

Building blocks in `parts` may use more of it: `dasr.strategies.internals`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from dasr.strategies.linear_combination import LinearCombination
from dasr.worlds.interface import ALL, World

BUCKET_MB = 4.0  # a part of a gradient that is worth a message of its own

OnBucket = Callable[[slice], None]
"""Called with each part of the gradient as soon as it is final, the last layers' first."""

OnPart = Callable[[slice, Tensor], None]
"""Called with each part of the weights, and its new value, as soon as it is final."""


class Learner(Protocol):
    """What a strategy may use."""

    world: World

    @property
    def gradient(self) -> Tensor:
        """Flat [num_parameters], written by compute()."""
        ...

    @property
    def steps(self) -> int:
        """Updates that this learner has made."""
        ...

    @property
    def weights(self) -> Tensor:
        """Flat [num_parameters], the master weights, with everything that was added to them.

        Do not keep it across an `await`: a change may put the weights into a new vector (copy on write)."""
        ...

    def copy(self) -> Tensor:
        """A consistent copy of the weights, whatever other activities do to them."""
        ...

    def snapshot_view(self) -> Tensor:
        """A consistent view of the weights, to read only. Nothing is copied: the next change of the weights
        goes into a new vector.

        On a GPU this may wait up to two steps for an update() that applies what add() has deferred, since a
        pass over memory of its own would delay the gradient."""
        ...

    def assign(self, model: Tensor, part: slice = ALL) -> None:
        """The weights become `model`, without copying where possible: the next update() or add() writes into
        a new vector, and until then `model` must not change.

        With `part`, that part of them; the other parts have to be assigned too, from the same vector."""
        ...

    def add(self, delta: LinearCombination, deferred: bool = False) -> None:
        """weights += delta, atomically: nothing that another activity did meanwhile is lost.

        `deferred`: in one pass over memory with what comes next: update(), compute(), another add() or a
        reading. Until then the vectors in `delta` must not change."""
        ...

    async def begin_step(self) -> bool:
        """Step boundary of a *synchronous* strategy: snapshots, checkpoints; False when the budget is spent.

        Every learner takes the same number of steps: budget / batch."""
        ...

    async def claim_batch(self) -> bool:
        """Step boundary of an *asynchronous* strategy: take the next batch of the budget that all learners
        share; False when it is spent.

        Records the staleness of the last update: the number of batches that others claimed meanwhile."""
        ...

    async def compute(self, on_bucket: OnBucket | None = None, bucket_mb: float = BUCKET_MB) -> None:
        """Compute the gradient of the next local batch at the current weights, into `gradient`.

        The weights are copied first, so other activities may change them meanwhile. `on_bucket` is told the
        parts of the gradient during the backward pass, each of at least `bucket_mb` but for the last."""
        ...

    def update(
        self, gradient: Tensor | None = None, staleness: int | None = None, mixed: LinearCombination = ()
    ) -> None:
        """weights += mixed, then one step of the local optimizer with `gradient` (default: the learner's).

        `staleness`: steps between the weights at which the gradient was taken and those it is applied to.
        Default: 0 in a synchronous strategy; in an asynchronous one the next claim_batch() records it, if
        record_staleness() does not."""
        ...

    async def step(self, on_part: OnPart | None = None) -> None:
        """One local step, w - a g(w): compute(), then update().

        `on_part` is told each part of the new weights: during the backward pass if the optimizer is
        element-wise (no clipping, no momentum), else all at once in the end."""
        ...

    def record_staleness(self, staleness: int) -> None:
        """Enter the staleness of the last update, where it becomes known after it."""
        ...

    def learning_rate(self) -> float:
        """a_k, of the current batch."""
        ...
