"""The mean of gradients, overlapped with the backward passes that make them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dasr.strategies.learner import BUCKET_MB, Learner, OnBucket
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
        super().__init__(learner, compression, group)
        self.bucket_mb = bucket_mb
        self.buckets: list[slice] = []  # those of the last gradient that this learner computed
        exact = self._as_it_is(learner.gradient)
        self.target = self.learner.use_symmetric_weights() if exact else None

    async def compute(self, contribution: Contribution | None = None) -> None:
        """Compute the learner's gradient and average it over the group. `learner.update()` must follow, and
        makes the step with the mean.

        Where the GPUs of one host update together, the weights are updated here, bucket by bucket, and
        `learner.gradient` keeps this learner's own. `contribution`: where not all may have a gradient."""
        contribution, gradient = contribution or Contribution(), self.learner.gradient
        if self.target is not None:
            together = self.world.sharded_update(gradient, self.target, self.group)
            if together is not None:
                return await self._update(together, contribution)
        started: list[Awaitable[object]] = []

        def reduce(part: slice) -> None:
            started.append(self.average(gradient[part], part.start))

        await self._in_buckets(reduce, contribution)
        scale = await contribution.scale()
        for reduction in started:
            await reduction
        if scale != 1:
            gradient.mul_(scale)

    async def _update(self, together: ShardedUpdate, contribution: Contribution) -> None:
        """Each learner updates its shard of every bucket."""
        await self._in_buckets(together.send, contribution)
        for part, there in together.update(self.learner.sharded_update(await contribution.scale())):
            await there
            self.learner.prefetch_weights(part)

    async def _in_buckets(self, reduce: OnBucket, contribution: Contribution) -> None:
        """Compute the gradient, or zeros in place of one; pass every bucket of it to `reduce`."""
        gradient = self.learner.gradient
        if contribution.present and not contribution.single_bucket:
            self.buckets = []

            def on_bucket(part: slice) -> None:
                self.buckets.append(part)
                reduce(part)

            return await self.learner.compute(on_bucket, self.bucket_mb)
        if contribution.present:
            await self.learner.compute()
        else:
            gradient.zero_()
        for part in [slice(0, len(gradient))] if contribution.single_bucket else self.buckets:
            reduce(part)
