"""Symmetric memory: vectors that the GPUs of a host can write into each other's memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from dasr import torch_private

_names = itertools.count()


class Region(Protocol):
    """A vector that each learner of the host has one of. Ranks are places on the host."""

    def get_buffer(self, rank: int, sizes: Any, dtype: torch.dtype, storage_offset: int = 0) -> Tensor: ...


Allocate = Callable[[int, torch.dtype], tuple[Tensor, Region]]
"""`allocate(length, dtype)`, called by all learners of the host: (this learner's zeros, the region)."""


class SymmetricMemory:
    """An Allocate, in PyTorch's symmetric memory. It keeps its group alive, which PyTorch finds by name."""

    def __init__(self, group: dist.ProcessGroup, device: torch.device):
        os.environ.setdefault("TORCH_SYMM_MEM_DISABLE_MULTICAST", "1")
        self.group, self.device = group, device
        self.name = f"dasr-{next(_names)}"
        torch_private.name_group(group, self.name)

    def __call__(self, length: int, dtype: torch.dtype) -> tuple[Tensor, Region]:
        symmetric = torch_private.symmetric_memory()
        vector = symmetric.empty(length, dtype=dtype, device=self.device).zero_()
        torch.cuda.current_stream(self.device).synchronize()  # others may write into it from now on
        return vector, symmetric.rendezvous(vector, self.name)
