"""All parameters of a module in one flat vector, and all gradients in another: what strategies exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn


class FlatModule:
    """A module whose parameters are views of `weights` and whose gradients are views of a flat gradient.

    Parameters lie in the order of `module.parameters()` without gaps, each bucket contiguous: every task of a
    model keeps this order, so that snapshots and checkpoints mean the same on every device."""

    def __init__(self, module: nn.Module, buckets: Sequence[Sequence[nn.Parameter]] | None = None):
        """`buckets`: parts of the parameters, in their order, whose gradients are announced together."""
        self.module = module
        self.parameters = list(module.parameters())
        self.weights = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        for parameter, view in zip(self.parameters, self._views(self.weights), strict=True):
            parameter.data = view
        self._gradient: Tensor | None = None
        self._ready: Callable[[Tensor], None] | None = None
        self._buckets = list(self._watch(buckets or [[parameter] for parameter in self.parameters]))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of the parameters, in their order."""
        return [tuple(parameter.shape) for parameter in self.parameters]

    def point_gradients_at(self, gradient: Tensor) -> None:
        """Let the next backward pass add into `gradient` (flat, as `weights`)."""
        if self._gradient is not gradient:
            self._gradient = gradient
            for parameter, view in zip(self.parameters, self._views(gradient), strict=True):
                parameter.grad = view

    def backward(
        self, outputs: Tensor, ready: Callable[[Tensor], None], of_outputs: Tensor | None = None
    ) -> None:
        """Backward pass from a loss, or from `outputs` whose gradient is `of_outputs`; `ready(slice of
        gradient)` as each bucket becomes final, last layers first."""
        assert self._gradient is not None
        self._gradient.zero_()
        self._ready = ready
        outputs.backward(of_outputs)  # type: ignore[no-untyped-call]
        for bucket in reversed(self._buckets):
            bucket.end_of_pass()
        self._ready = None

    def _views(self, flat: Tensor) -> Iterator[Tensor]:
        begin = 0
        for parameter in self.parameters:
            yield flat[begin : begin + parameter.numel()].view(parameter.shape)
            begin += parameter.numel()

    def _watch(self, buckets: Sequence[Sequence[nn.Parameter]]) -> Iterator[_Countdown]:
        begin = 0
        for bucket in buckets:
            end = begin + sum(parameter.numel() for parameter in bucket)
            hook = _Countdown(self, begin, end, len(bucket))
            for parameter in bucket:
                parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
            yield hook
            begin = end

    def announce(self, begin: int, end: int) -> None:
        """Call `ready` with gradient[begin:end], which is final."""
        if self._ready is not None and self._gradient is not None:
            self._ready(self._gradient[begin:end])


class _Countdown:
    """Called as each parameter of a bucket has its gradient; announces the bucket after the last."""

    def __init__(self, owner: FlatModule, begin: int, end: int, count: int):
        self.owner, self.begin, self.end, self.count, self.left = owner, begin, end, count, count

    def __call__(self, parameter: Tensor) -> None:
        self.left -= 1
        if self.left == 0:
            self.owner.announce(self.begin, self.end)

    def end_of_pass(self) -> None:
        """Announce the bucket if a parameter of it took no part in the pass: its gradient is 0."""
        if self.left > 0:
            self.owner.announce(self.begin, self.end)
        self.left = self.count
