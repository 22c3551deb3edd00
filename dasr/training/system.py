"""What a learner's process and its machine use while it trains: processors, memory, GPU."""

from __future__ import annotations

import contextlib

import psutil
import torch

MB = 1e6


class SystemUse:
    """Samples of one process. The first sample of a percentage is since this object was made."""

    def __init__(self, device: str):
        self.process = psutil.Process()
        self.gpu = torch.device(device) if device.startswith("cuda") else None
        psutil.cpu_percent()

    def sample(self) -> dict[str, float]:
        """Per cent and megabytes at this moment; of a GPU only what its driver tells."""
        memory = psutil.virtual_memory()
        found = {
            "cpu_percent": psutil.cpu_percent(),  # of all processors, since the last sample
            "memory_mb": (memory.total - memory.available) / MB,  # of the machine
            "process_memory_mb": self.process.memory_info().rss / MB,
        }
        if self.gpu is not None:
            free, total = torch.cuda.mem_get_info(self.gpu)
            found["gpu_memory_mb"] = (total - free) / MB
            with contextlib.suppress(ModuleNotFoundError, RuntimeError):  # without nvidia-ml-py
                found["gpu_percent"] = float(torch.cuda.utilization(self.gpu))
        return found
