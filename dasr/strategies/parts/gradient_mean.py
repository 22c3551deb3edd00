"""The mean of gradients, overlapped with the backward passes that make them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dasr.strategies.learner import Learner
from dasr.strategies.parts.buckets import BUCKET_MB, Buckets
from dasr.strategies.parts.means import Mean
from dasr.worlds.interface import ShardedUpdate


@dataclass(frozen=True)
class Contribution:
    """What a learner brings to the mean gradient of a group where not every learner may have a batch."""

    present: bool = True  # this learner computes a gradient; otherwise it brings zeros
    single_bucket: bool = False  # one of the group may not know the buckets yet: reduce everything at once
    # The fraction of the group that is present, awaited while the gradient is being computed. None: all.
    fraction: Callable[[], Awaitable[float]] | None = None

    async def scale(self) -> float:
        """What turns the mean over the group into the mean over those that are present."""
        return 1.0 if self.fraction is None else 1.0 / await self.fraction()


class GradientMean(Mean):
    """The mean gradient, reduced bucket by bucket while the backward pass goes on."""

    def __init__(
        self,
        learner: Learner,
        compression: str,
        group: Sequence[int] | None = None,
        bucket_mb: float = BUCKET_MB,
    ):
        super().__init__(learner.world, compression, group)
        self.learner = learner
        self.buckets = Buckets(learner, bucket_mb)
        self.target = learner.use_symmetric_weights() if self._as_it_is(learner.gradient) else None

    async def compute(self, contribution: Contribution | None = None) -> None:
        """The learner's gradient, averaged over the group: into `learner.gradient`, or into its weights ahead
        of the update() that has to follow. `contribution`: given where not all of
        the group may have a gradient."""
        contribution, gradient = contribution or Contribution(), self.learner.gradient
        if self.target is not None:
            sharded = self.world.sharded_update(gradient, self.target, self.group)
            if sharded is not None:
                return await self._update(sharded, contribution)
        started: list[Awaitable[object]] = []

        def send(part: slice) -> None:
            started.append(self.start(gradient[part], part.start))

        await self._in_buckets(send, contribution)
        scale = await contribution.scale()
        for reduction in started:
            await reduction
        if scale != 1:
            gradient.mul_(scale)

    async def _update(self, sharded: ShardedUpdate, contribution: Contribution) -> None:
        """Each learner updates one shard of every part."""
        await self._in_buckets(sharded.send, contribution)
        for where, there in sharded.update(self.learner.sharded_update(await contribution.scale())):
            await there
            self.learner.prefetch_weights(where)

    async def _in_buckets(self, send: Callable[[slice], None], contribution: Contribution) -> None:
        """Compute the gradient, or be without one; send every part of it."""
        gradient = self.learner.gradient
        if contribution.present and not contribution.single_bucket:
            return await self.buckets.compute(send)
        if contribution.present:
            await self.learner.compute()
        else:
            gradient.zero_()
        for part in [slice(0, len(gradient))] if contribution.single_bucket else self.buckets.parts:
            send(part)
