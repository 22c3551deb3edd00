"""Tensors as bytes on a connection, and the address that a learner is reached at."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasr.worlds.interface import Payload

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

Body = NDArray[np.uint8]  # of a message


def parts_of(payload: Payload) -> tuple[Tensor, ...]:
    return (payload,) if isinstance(payload, Tensor) else payload


def pack(payload: Payload) -> list[memoryview]:
    """Bytes of a copy of the payload: the caller may change it at once."""
    return [_captured(part).reshape(-1).view(torch.uint8).numpy().data for part in parts_of(payload)]


def _captured(part: Tensor) -> Tensor:
    if not part.is_cuda:
        return part.detach().clone(memory_format=torch.contiguous_format)
    pinned = torch.empty(part.shape, dtype=part.dtype, pin_memory=True)
    return pinned.copy_(part)


def unpack(body: Body, like: Payload, source: int) -> Payload:
    """The payload in `body`, with shapes, types and device of `like`. Raises ValueError where the size
    differs."""
    expected = parts_of(like)
    size = sum(part.numel() * part.element_size() for part in expected)
    if size != len(body):
        raise ValueError(f"a message from learner {source} has {len(body)} bytes where {size} were expected")
    parts: list[Tensor] = []
    start = 0
    for part in expected:
        end = start + part.numel() * part.element_size()
        raw = (
            torch.frombuffer(body, dtype=torch.uint8)[start:end]
            if end > start
            else torch.empty(0, dtype=torch.uint8)
        )
        if start % part.element_size():
            raw = raw.clone()  # views of wider types must be aligned
        parts.append(raw.view(part.dtype).view(part.shape).to(part.device))
        start = end
    return parts[0] if isinstance(like, Tensor) else tuple(parts)


def own_address(store: Store) -> str:
    """The address of this host on the network of GLOO_SOCKET_IFNAME, else on the one that the store is
    reached by."""
    interface = os.environ.get("GLOO_SOCKET_IFNAME", "").split(",")[0]
    if interface:
        return _address_of(interface)
    plain: Any = store
    while hasattr(plain, "underlying_store"):
        plain = plain.underlying_store
    if not hasattr(plain, "host"):
        return "127.0.0.1"  # a file: all learners are on this host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((plain.host, plain.port))
        address: str = probe.getsockname()[0]
        return address


def _address_of(interface: str) -> str:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        siocgifaddr = 0x8915
        answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", interface[:15].encode()))
    return socket.inet_ntoa(answer[20:24])
