"""Weighted sums of flat vectors, on a GPU in one pass over memory: for 100 MB each pass counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.overrides import has_torch_function_unary

from dasr.cuda import kernels

THREADS = 512  # in a block; each adds up one group of numbers


def combine_(out: Tensor, terms: Sequence[tuple[float, Tensor]]) -> Tensor:
    """out <- sum of factor * vector over `terms`, added in their order; gives `out`, maybe one of them.

    A class of tensors with `__torch_function__` may do it itself, in a method `combine_(terms)`."""
    if has_torch_function_unary(out):  # quicker than to ask each vector for the method
        own = getattr(out, "combine_", None)
        if own is not None:
            result: Tensor = own(terms)
            return result
    vectors = [vector for _, vector in terms]
    if out.is_cuda and _one_pass_possible([out, *vectors]):
        _one_pass(out, [factor for factor, _ in terms], vectors)
        return out
    (factor, vector), *others = terms
    total = vector * factor
    for factor, vector in others:
        total.add_(vector, alpha=factor)
    return out.copy_(total)


def _one_pass_possible(vectors: list[Tensor]) -> bool:
    """Float32 all of them, but that the last ones may be bfloat16: gradients."""
    kinds = [vector.dtype for vector in vectors]
    wide = len(kinds) - kinds.count(torch.bfloat16)
    return (
        len(vectors) <= 1 + kernels.MOST_COMBINED
        and vectors[0].numel() < 2**31
        and kernels.available(vectors[0].device)
        and all(vector.is_cuda and vector.is_contiguous() for vector in vectors)
        and wide > 0
        and all(kind == torch.float32 for kind in kinds[:wide])
    )


def _one_pass(out: Tensor, factors: list[float], vectors: list[Tensor]) -> None:
    length = out.numel()
    wide = length % 4 == 0 and all(vector.data_ptr() % 16 == 0 for vector in [out, *vectors])
    width, narrow = 4 if wide else 1, sum(vector.dtype == torch.bfloat16 for vector in vectors)
    kernel = kernels.combine(len(vectors), width, narrow, out.device.index)
    unused = kernels.MOST_COMBINED - len(vectors)
    kernel(
        -(-length // width // THREADS),
        out,
        *vectors,
        *[out] * unused,
        *map(float, factors),
        *[0.0] * unused,
        length // width,
    )
