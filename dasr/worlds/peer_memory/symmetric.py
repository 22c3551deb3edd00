"""Memory that the GPUs of a host share: PyTorch's symmetric memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

_names = itertools.count()


class Region(Protocol):
    """A vector that each learner of the host has one of, as torch's symmetric memory gives it. Ranks here are
    places on the host."""

    def get_buffer(self, rank: int, sizes: Any, dtype: torch.dtype, storage_offset: int = 0) -> Tensor: ...


Allocate = Callable[[int, torch.dtype], tuple[Tensor, Region]]
"""Make a region of so many zeros, with all learners of the host: (this learner's vector, the region)."""


class SymmetricMemory:
    """An Allocate. It holds its group: PyTorch finds it by a name, and lets go of one that nobody holds."""

    def __init__(self, group: dist.ProcessGroup, device: torch.device):
        os.environ.setdefault("TORCH_SYMM_MEM_DISABLE_MULTICAST", "1")
        self.group, self.device = group, device
        name: Any = f"dasr-{next(_names)}"
        self.name = name
        group._set_group_name(name)
        torch._C._distributed_c10d._register_process_group(name, group)

    def __call__(self, length: int, dtype: torch.dtype) -> tuple[Tensor, Region]:
        import torch.distributed._symmetric_memory as symmetric

        vector = symmetric.empty(length, dtype=dtype, device=self.device).zero_()
        torch.cuda.current_stream(self.device).synchronize()  # others may write into it from now on
        return vector, symmetric.rendezvous(vector, self.name)
