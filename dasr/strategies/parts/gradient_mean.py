"""The mean of gradients, overlapped with the backward passes that make them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dasr.strategies.base import Learner
from dasr.strategies.parts.buckets import BUCKET_MB, Buckets
from dasr.strategies.parts.means import Mean
from dasr.worlds.interface import Sharing


@dataclass(frozen=True)
class Participation:
    """Who of a group brings a gradient to its mean: this learner (`computes`), and how many others."""

    computes: bool = True
    whole: bool = False  # all at once: one of the group may not know the parts in which it is made
    share: Callable[[], Awaitable[float]] | None = None  # of the group; asked when the gradient is under way

    async def scale(self) -> float:
        return 1.0 if self.share is None else 1.0 / await self.share()


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
        self.target = learner.share() if self._as_it_is(learner.gradient) else None

    async def compute(self, of: Participation | None = None) -> None:
        """The learner's gradient, averaged over the group: into `learner.gradient`, or into its weights ahead
        of the update() that has to follow. `of`: not all of the group may have one."""
        of, gradient = of or Participation(), self.learner.gradient
        if self.target is not None:
            sharing = self.world.sharing(gradient, self.target, self.group)
            if sharing is not None:
                return await self._update(sharing, of)
        started: list[Awaitable[object]] = []

        def send(part: slice) -> None:
            started.append(self.start(gradient[part], part.start))

        await self._in_buckets(send, of)
        scale = await of.scale()
        for reduction in started:
            await reduction
        if scale != 1:
            gradient.mul_(scale)

    async def _update(self, sharing: Sharing, of: Participation) -> None:
        """Each learner makes a share of the update."""
        await self._in_buckets(sharing.send, of)
        for where, there in sharing.update(self.learner.updating(await of.scale())):
            await there
            self.learner.take_ahead(where)

    async def _in_buckets(self, send: Callable[[slice], None], of: Participation) -> None:
        """Compute the gradient, or be without one; send every part of it."""
        gradient = self.learner.gradient
        if of.computes and not of.whole:
            return await self.buckets.compute(send)
        if of.computes:
            await self.learner.compute()
        else:
            gradient.zero_()
        for part in [slice(0, len(gradient))] if of.whole else self.buckets.parts:
            send(part)
