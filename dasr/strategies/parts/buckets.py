"""The parts in which a backward pass makes a gradient, filled up to buckets that are worth a message each.

Buckets in the order in which gradients appear: Li et al. 2020 (arXiv 2006.15704).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dasr.strategies.learner import Learner

BUCKET_MB = 4.0


class Buckets:
    """One learner's gradient, bucket by bucket."""

    def __init__(self, learner: Learner, bucket_mb: float = BUCKET_MB):
        self.learner = learner
        self.size = max(1, round(bucket_mb * 2**20 / learner.gradient.element_size()))
        self.parts: list[slice] = []  # the buckets, once a gradient has been computed

    async def compute(self, send: Callable[[slice], None]) -> None:
        """Compute the gradient; `send` every part of it, as soon as that is final."""
        gradient = self.learner.gradient
        begin = end = len(gradient)  # of the bucket being filled: passes go from the last layers to the first
        parts = self.parts = []

        def full(first: int, stop: int) -> None:
            parts.append(slice(first, stop))
            send(parts[-1])

        def ready(part: Tensor) -> None:
            nonlocal begin, end
            first = int(part.storage_offset() - gradient.storage_offset())
            if first + len(part) != begin:  # a pass that jumps about: each part goes on its own
                return full(first, first + len(part))
            begin = first
            if end - begin >= self.size:
                full(begin, end)
                end = begin

        await self.learner.compute(ready)
        if begin < end or not parts:  # what is left, or a gradient that arrives all at once
            full(begin if begin < end else 0, end)
