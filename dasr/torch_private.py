"""Every private name of PyTorch that dasr uses, so that a new release is tried here first.

Tried with torch 2.11 and 2.14; pyproject.toml holds torch below the first release that was not tried.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

raw_stream: Any = getattr(torch._C, "_cuda_getCurrentRawStream", None)
"""`raw_stream(device index)`: the handle of this thread's stream, an int. None in a build without CUDA.
`torch.cuda.current_stream()` takes a slow host 10 us longer, and is asked some 60 times a step."""

without_torch_function: Any = torch._C.DisableTorchFunctionSubclass
"""A context in which a tensor class's own `__torch_function__` is not called."""

copy_each: Any = torch._foreach_copy_
"""`copy_each(targets, sources)`: copy lists of tensors in a few kernels."""


def gloo_device(host: str) -> Any:
    """The network device of a host's address, for gloo_group()."""
    return dist.ProcessGroupGloo.create_device(hostname=host)


def gloo_group(store: Any, rank: int, size: int, device: Any, timeout: timedelta) -> Any:
    """A process group of its own, apart from torch.distributed's default group."""
    options = dist.ProcessGroupGloo._Options()  # type: ignore[attr-defined]
    options._devices = [device]
    options._timeout = timeout
    options._threads = 2
    return dist.ProcessGroupGloo(store, rank, size, options)


def nccl_group(store: Any, rank: int, size: int, timeout: timedelta) -> Any:
    """A process group of its own, on the current GPU."""
    options = dist.ProcessGroupNCCL.Options()
    options._timeout = timeout
    return dist.ProcessGroupNCCL(store, rank, size, options)


def name_group(group: dist.ProcessGroup, name: str) -> None:
    """Let symmetric memory find a group by a name. PyTorch lets go of a group that nobody else holds."""
    private: Any = group
    private._set_group_name(name)
    torch._C._distributed_c10d._register_process_group(name, private)  # type: ignore[arg-type]


def symmetric_memory() -> Any:
    """The module of symmetric memory: `empty(length, dtype=, device=)` and `rendezvous(tensor, group name)`.
    Raises ImportError."""
    import torch.distributed._symmetric_memory as module

    return module
