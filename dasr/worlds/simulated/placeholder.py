"""A vector that has a size but no values: what timing-only simulations send about.

Elementwise operations of the hot loops are plain Python and keep the vector as it is (its dtype and length
are all that the network asks for). Any other operation runs on PyTorch's `meta` device, so that what a
compression sends has exactly the size that it would have.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dasr.torch_private import without_torch_function

Operation = Callable[..., Any]


class PlaceholderTensor(Tensor):
    """Made by `placeholder(length)`."""

    # Read at every step: looked up once a vector, and then plain attributes, without a call.
    _size: int
    _results: dict[tuple[Any, ...], Any]

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _SAME_SIZE:
            return args[0]
        general = super().__torch_function__
        return general(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]

    def numel(self) -> int:
        try:
            return self._size
        except AttributeError:  # the result of another operation: look once
            with without_torch_function():
                self._size = size = super().numel()
            return size

    @functools.cached_property
    def _slices(self) -> dict[tuple[Any, Any, Any], Any]:
        return {}

    @functools.cached_property
    def _width(self) -> int:
        with without_torch_function():
            return super().element_size()

    @functools.cached_property
    def _offset(self) -> int:
        with without_torch_function():
            return int(super().storage_offset())

    @functools.cached_property
    def shape(self) -> torch.Size:  # type: ignore[override]
        with without_torch_function():
            return super().shape

    @functools.cached_property
    def nbytes(self) -> int:  # type: ignore[override]
        return self.numel() * self._width

    @functools.cached_property
    def dtype(self) -> torch.dtype:  # type: ignore[override]
        with without_torch_function():
            return super().dtype

    def combine_(self, terms: Sequence[tuple[float, Tensor]]) -> PlaceholderTensor:
        """`dasr.cuda.linear_combination.combine_`. Raises RuntimeError."""
        size = self.numel()
        for _, vector in terms:
            if vector.numel() != size:
                _same(self, vector)
        return self

    def element_size(self) -> int:
        return self._width

    def storage_offset(self) -> int:
        return self._offset

    def __len__(self) -> int:
        return self.shape[0]

    def new_empty(self, size: Any, **options: Any) -> Any:  # type: ignore[override]
        if size == self.shape and not options:
            return self
        return super().new_empty(size, **options)

    def __getitem__(self, index: Any) -> Any:
        """Slices are kept: a bucket is cut from the same place at every step."""
        try:
            return self._slices[index.start, index.stop, index.step]
        except (AttributeError, KeyError):  # not a slice, or not cut yet
            part = super().__getitem__(index)
        if isinstance(index, slice):
            self._slices[index.start, index.stop, index.step] = part
        return part


def _kept(name: str) -> Operation:
    """An operation whose result is always the same for the same arguments: kept, as slices are."""
    general = getattr(Tensor, name)

    def operation(self: PlaceholderTensor, *arguments: Any) -> Any:
        try:
            results = self._results
        except AttributeError:
            results = self._results = {}
        key = (name, *arguments)
        if key not in results:
            results[key] = general(self, *arguments)
        return results[key]

    return operation


def _same(self: PlaceholderTensor, *arguments: Any, **options: Any) -> PlaceholderTensor:
    """An elementwise operation with a number, a vector of the same size, or one that is spread over the rows
    or columns of a matrix. Raises RuntimeError."""
    size = self.numel()
    for other in arguments:
        if other is self or not isinstance(other, PlaceholderTensor) or other.numel() in (size, 1):
            continue
        if not _spreads(other, self):
            raise RuntimeError(f"a vector of {size:,} elements meets one of {other.numel():,}")
    return self


def _spreads(small: PlaceholderTensor, large: PlaceholderTensor) -> bool:
    """By PyTorch's rule: from the last axis on, sizes are equal or 1."""
    sizes = zip(reversed(small.shape), reversed(large.shape), strict=False)
    return small.dim() <= large.dim() and all(one in (1, other) for one, other in sizes)


for _name in ("add", "sub", "mul", "div", "addcmul", "addcdiv", "sqrt"):
    setattr(PlaceholderTensor, _name + "_", _same)
for _name in ("clone", "copy_", "zero_", "fill_", "clamp_", "lerp_"):
    setattr(PlaceholderTensor, _name, _same)
for _name in ("__iadd__", "__isub__", "__imul__", "__itruediv__"):
    setattr(PlaceholderTensor, _name, _same)


def _elementwise(name: str) -> Operation:
    general = getattr(Tensor, name)

    def operation(self: PlaceholderTensor, other: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(other, (int, float)) or (
            isinstance(other, PlaceholderTensor) and other.numel() == self.numel()
        ):
            return self
        if isinstance(other, Tensor) and other.numel() == 1:  # a number in a tensor
            return self
        return general(self, other, *arguments, **options)

    return operation


for _name in (
    "add",
    "sub",
    "mul",
    "div",
    "__add__",
    "__sub__",
    "__mul__",
    "__truediv__",
    "__radd__",
    "__rmul__",
):
    setattr(PlaceholderTensor, _name, _elementwise(_name))

for _name in ("to", "tensor_split"):
    setattr(PlaceholderTensor, _name, _kept(_name))

_SAME_SIZE = {torch.zeros_like, torch.empty_like, torch.clone}


def placeholder(length: int, dtype: torch.dtype = torch.float32) -> PlaceholderTensor:
    """A vector of that length, on no memory."""
    return torch.empty(length, dtype=dtype, device="meta").as_subclass(PlaceholderTensor)
