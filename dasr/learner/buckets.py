"""Parts of a gradient, in the order in which a backward pass makes them, joined to buckets worth a message.

Buckets in the order in which gradients appear: Li et al. 2020 (arXiv 2006.15704).
"""

from __future__ import annotations

from torch import Tensor

from dasr.strategies.learner import OnBucket


class Buckets:
    """The buckets of one backward pass."""

    def __init__(self, gradient: Tensor, bucket_mb: float, on_bucket: OnBucket):
        self.gradient, self.on_bucket = gradient, on_bucket
        self.size = max(1, round(bucket_mb * 2**20 / gradient.element_size()))
        self.begin = self.end = len(gradient)  # of the bucket being filled: from the last layers to the first
        self.none = True

    def ready(self, part: Tensor) -> None:
        """That slice of the gradient is final."""
        first = int(part.storage_offset() - self.gradient.storage_offset())
        if first + len(part) != self.begin:  # not the neighbour of the last one: a bucket of its own
            return self._full(first, first + len(part))
        self.begin = first
        if self.end - self.begin >= self.size:
            self._full(self.begin, self.end)
            self.end = self.begin

    def finish(self) -> None:
        """The pass has ended: what is left is the last bucket; or all, if the pass announced no part."""
        if self.begin < self.end:
            self._full(self.begin, self.end)
        elif self.none:
            self._full(0, self.end)

    def _full(self, first: int, stop: int) -> None:
        self.none = False
        self.on_bucket(slice(first, stop))
