"""What `torchrun` tells a benchmark's process, or what it is without."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous


class Launched(NamedTuple):
    """One process of a benchmark: a store of the run, rank, size, its own device."""

    store: Any
    rank: int
    size: int
    device: torch.device


def launched(device: str) -> Launched:
    """This process, which has made its device the current one."""
    if "MASTER_PORT" in os.environ:  # another port, next to that one, say, may be in use
        store, rank, size = next(iter(rendezvous("env://")))
    else:
        store, rank, size = TCPStore("127.0.0.1", 0, 1, is_master=True), 0, 1
    own = torch.device(device, rank) if device == "cuda" else torch.device(device)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    return Launched(store, rank, size, own)
