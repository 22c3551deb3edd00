"""The mean of gradients, overlapped with the backward passes that make them.

Buckets in the order in which gradients appear: Li et al. 2020 (arXiv 2006.15704).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from dasr.strategies.averaging import Mean
from dasr.strategies.strategy import Learner
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
        self, learner: Learner, compression: str, group: Sequence[int] | None = None, bucket_mb: float = 4.0
    ):
        super().__init__(learner.world, compression, group)
        self.learner = learner
        self.bucket = max(1, round(bucket_mb * 2**20 / learner.gradient.element_size()))
        self.parts: list[tuple[int, int]] = []  # the buckets, once a gradient has been computed
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

        def send(first: int, stop: int) -> None:
            started.append(self.start(gradient[first:stop], first))

        await self._in_buckets(send, of)
        scale = await of.scale()
        for reduction in started:
            await reduction
        if scale != 1:
            gradient.mul_(scale)

    async def _update(self, sharing: Sharing, of: Participation) -> None:
        """Each learner makes a share of the update."""
        await self._in_buckets(lambda first, stop: sharing.send(slice(first, stop)), of)
        for where, there in sharing.update(self.learner.updating(await of.scale())):
            await there
            self.learner.take_ahead(where)

    async def _in_buckets(self, send: Callable[[int, int], None], of: Participation) -> None:
        """Compute the gradient; send(first, stop) with every part of it, as soon as that is final."""
        gradient = self.learner.gradient
        if not of.computes:
            gradient.zero_()
        elif of.whole:
            await self.learner.compute()
        if of.whole or not of.computes:
            for part in [(0, len(gradient))] if of.whole else self.parts:
                send(*part)
            return
        begin = end = len(gradient)  # of the bucket being filled: passes go from the last layers to the first
        parts = self.parts = []

        def ready(part: Tensor) -> None:
            nonlocal begin, end
            first = int(part.storage_offset() - gradient.storage_offset())
            if first + len(part) != begin:  # a pass that jumps about: each part goes on its own
                parts.append((first, first + len(part)))
                return send(*parts[-1])
            begin = first
            if end - begin >= self.bucket:
                parts.append((begin, end))
                send(begin, end)
                end = begin

        await self.learner.compute(ready)
        if begin < end or not parts:  # what is left, or a gradient that arrives all at once
            parts.append((begin if begin < end else 0, end))
            send(*parts[-1])
