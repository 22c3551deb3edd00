"""What every strategy shares: the learner it drives, the loop, the state."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor

from dasr.worlds.interface import ALL, ApplyPart, Ready, World

LinearCombination = Sequence[tuple[float, Tensor]]
"""A sum of vectors, (factor, vector) each, not added up yet: one pass does that with what else is added."""


class Learner(Protocol):
    """One learner as a strategy sees it: flat vectors, a gradient, a local optimizer, a world to talk to."""

    world: World
    gradient: Tensor  # flat [num_parameters], filled by compute()
    steps: int  # updates that this learner has made
    samples: int  # seen by all learners together when the current batch began: what the rate depends on

    @property
    def elementwise(self) -> bool:
        """Whether the optimizer can update a part of the weights by itself: in updating()."""
        ...

    @property
    def weights(self) -> Tensor:
        """Flat [num_parameters], the master weights. Ask for them anew at each use: a change may make new
        ones, see lend()."""
        ...

    async def begin_step(self) -> bool:
        """Step boundary of a *synchronous* strategy: snapshots, checkpoints; False when the budget is spent.

        Every learner takes the same number of steps: budget / batch."""
        ...

    async def claim_batch(self) -> bool:
        """Step boundary of an *asynchronous* strategy: take the next batch of the shared budget, if any.

        Records the staleness of an update that was not told it: gradients that others claimed meanwhile."""
        ...

    async def compute(self, ready: Ready | None = None) -> None:
        """Gradient of the next local batch at the weights as they are now, into `gradient`.

        The weights are copied as it begins, so mixing may go on meanwhile."""
        ...

    def update(
        self, gradient: Tensor | None = None, staleness: int | None = 0, mixed: LinearCombination = ()
    ) -> None:
        """Apply the local optimizer to `weights` in place (`gradient`: default its own), count the step.

        `mixed`: added to the weights first. `staleness` is recorded in the accounts; None leaves that to
        record() or to the next claim()."""
        ...

    def use_symmetric_weights(self) -> Tensor:
        """What updating() changes, from now on a vector that this host's other learners can write into. All
        of them call this."""
        ...

    def sharded_update(self, factor: float) -> AbstractContextManager[ApplyPart]:
        """While it is open nobody else touches the weights, and what it gives updates a part of them with the
        mean of gradients, times `factor`, and gives that part; where the optimizer needs the whole gradient
        first, that mean is put into `gradient`. Afterwards these are the weights; update() counts the step,
        once there was something for every part. The gradient may be computed while it is open."""
        ...

    def prefetch_weights(self, where: slice) -> None:
        """These weights are there, after updating(): the next compute() may copy them. It notices changes."""
        ...

    def record_staleness(self, staleness: int) -> None:
        """Enter the staleness of the last update, where update() could not be told."""
        ...

    def learning_rate(self) -> float: ...

    def optimizer_state(self) -> list[Tensor]:
        """What the optimizer keeps from step to step: to be changed in place, between two of them."""
        ...

    def copy(self) -> Tensor:
        """A consistent copy of the weights, whatever other activities do to them."""
        ...

    def snapshot_view(self, patience_s: float = 0.0) -> Tensor:
        """As copy(), but to read only, and nothing is copied: whoever changes the weights next, through
        update() or add(), makes new ones.

        `patience_s`: so long it may wait, where a pass over the weights costs, for an update() that adds what
        has been deferred."""
        ...

    def assign(self, model: Tensor, where: slice = ALL) -> None:
        """The weights are that vector; with `where`, they are as soon as that is said of all parts. Whoever
        changes them next, by update() or add(), makes new ones: `model` must not change until then."""
        ...

    def add(self, delta: LinearCombination, deferred: bool = False) -> None:
        """weights += delta, atomically: nothing that another activity did meanwhile is lost.

        `deferred`: in one pass with what comes next, which is update(), compute(), copy(), snapshot_view()
        or add(). Until then `weights` lack it, and the vectors in `delta` must not change."""
        ...

    def combine(self, out: Tensor, terms: LinearCombination) -> Tensor:
        """`out`, a vector of the strategy's own, becomes that sum in one pass. It may be one of them."""
        ...
