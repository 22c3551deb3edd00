"""Memory that the GPUs of a host share, and signals between their streams: PyTorch's symmetric memory."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

SIGNAL_MS = 60_000
_names = itertools.count()


class Region(Protocol):
    """A vector that each learner of the host has one of, as torch's symmetric memory gives it. Ranks here are
    places on the host. A signal that was put holds up the next one until it has been waited for."""

    def get_buffer(self, rank: int, sizes: Any, dtype: torch.dtype, storage_offset: int = 0) -> Tensor: ...
    def put_signal(self, dst_rank: int, channel: int = 0, timeout_ms: int = 0) -> None: ...
    def wait_signal(self, src_rank: int, channel: int = 0, timeout_ms: int = 0) -> None: ...


Allocate = Callable[[int, torch.dtype], tuple[Tensor, Region]]
"""Make a region of so many numbers, with all learners of the host: (this learner's vector, the region)."""


class SymmetricMemory:
    """An Allocate. It holds its group: PyTorch finds it by a name, and lets go of one that nobody holds."""

    def __init__(self, group: dist.ProcessGroup, device: torch.device):
        os.environ.setdefault("TORCH_SYMM_MEM_DISABLE_MULTICAST", "1")
        self.group, self.device = group, device
        name: Any = f"dasr-{next(_names)}"
        self.name = name
        group._set_group_name(name)
        torch._C._distributed_c10d._register_process_group(name, group)

    def works(self) -> bool:
        """Whether the driver lets processes share memory here; some containers forbid it. Both kernels of
        signals are used once: CUDA loads a kernel when it is first used, which may wait for those that run,
        and later ones wait for other learners."""
        try:
            _, region = self(1, torch.float32)
            others = [place for place in range(self.group.size()) if place != self.group.rank()]
            for place in others:
                region.put_signal(place, 0, SIGNAL_MS)
            for place in others:
                region.wait_signal(place, 0, SIGNAL_MS)
            torch.cuda.synchronize(self.device)
        except RuntimeError as error:
            print(f"dasr: GPUs of this host do not share memory ({error}): NCCL instead", file=sys.stderr)
            return False
        return True

    def __call__(self, length: int, dtype: torch.dtype) -> tuple[Tensor, Region]:
        import torch.distributed._symmetric_memory as symmetric

        vector = symmetric.empty(length, dtype=dtype, device=self.device)
        return vector, symmetric.rendezvous(vector, self.name)
