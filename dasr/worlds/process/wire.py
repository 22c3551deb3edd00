"""Tensors as bytes on a connection, and the address that a learner is reached at.

A message is a header and a body. The header describes each tensor: dtype, whether it lies on the sender's
device, shape. The body is their bytes, one tensor after another.
"""

from __future__ import annotations

import functools
import math
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasr.worlds.interface import Payload

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

Body = NDArray[np.uint8]
DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
"""Their places in this table are what headers hold."""

MOST_TENSORS = 255
MOST_DIMENSIONS = 8
MOST_BYTES = 1 << 40  # of a body
TENSOR = struct.Struct("!BBB")  # place in DTYPES, 1 on the device or 0 on the CPU, dimensions; sizes follow
SIZE = struct.Struct("!Q")
MOST_HEADER_BYTES = MOST_TENSORS * (TENSOR.size + MOST_DIMENSIONS * SIZE.size)


class BadHeader(ConnectionError):
    """A header that no learner sends: the connection is of no use any more."""


@dataclass(frozen=True)
class Described:
    """One tensor of a payload, as its header describes it."""

    dtype: torch.dtype
    on_device: bool
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Message:
    """What has arrived."""

    described: tuple[Described, ...]
    body: Body


def header_of(payload: Payload) -> bytes:
    """Raises ValueError for what cannot be sent."""
    return _encode(tuple(Described(part.dtype, part.is_cuda, tuple(part.shape)) for part in payload))


@functools.lru_cache(maxsize=1024)  # payloads of a run have few different shapes
def _encode(described: tuple[Described, ...]) -> bytes:
    if len(described) > MOST_TENSORS:
        raise ValueError(f"a payload has at most {MOST_TENSORS} tensors, this one has {len(described)}")
    header = bytearray()
    for one in described:
        if one.dtype not in DTYPES:
            known = ", ".join(str(dtype) for dtype in DTYPES)
            raise ValueError(f"a tensor of {one.dtype} cannot be sent (can be: {known})")
        if len(one.shape) > MOST_DIMENSIONS:
            raise ValueError(f"a tensor that is sent has at most {MOST_DIMENSIONS} dimensions: {one.shape}")
        header += TENSOR.pack(DTYPES.index(one.dtype), one.on_device, len(one.shape))
        for size in one.shape:
            header += SIZE.pack(size)
    return bytes(header)


@functools.lru_cache(maxsize=1024)
def parse_header(header: bytes, body_bytes: int) -> tuple[Described, ...]:
    """The tensors that a header describes; their bytes must be `body_bytes`. Raises BadHeader."""
    described: list[Described] = []
    at = 0
    try:
        while at < len(header):
            dtype, on_device, dimensions = TENSOR.unpack_from(header, at)
            at += TENSOR.size
            if dtype >= len(DTYPES) or on_device > 1 or dimensions > MOST_DIMENSIONS:
                raise BadHeader(f"a header describes no tensor: {dtype}, {on_device}, {dimensions}")
            shape = struct.unpack_from(f"!{dimensions}Q", header, at)
            at += dimensions * SIZE.size
            described.append(Described(DTYPES[dtype], bool(on_device), shape))
    except struct.error as error:
        raise BadHeader(f"a header ends too early: {error}") from None
    if len(described) > MOST_TENSORS:
        raise BadHeader(f"a header describes {len(described)} tensors, more than {MOST_TENSORS}")
    size = sum(one.nbytes for one in described)
    if size != body_bytes:
        raise BadHeader(f"a message has {body_bytes} bytes where its header describes {size}")
    return tuple(described)


def pack(payload: Payload) -> list[memoryview]:
    """Bytes of a copy of the payload: the caller may change it at once."""
    return [_captured(part).reshape(-1).view(torch.uint8).numpy().data for part in payload]


def _captured(part: Tensor) -> Tensor:
    if not part.is_cuda:
        return part.detach().clone(memory_format=torch.contiguous_format)
    pinned = torch.empty(part.shape, dtype=part.dtype, pin_memory=True)
    return pinned.copy_(part)


def unpack(message: Message, device: torch.device) -> Payload:
    """The payload of a message. What was on the sender's device comes to `device`."""
    parts: list[Tensor] = []
    start = 0
    for one in message.described:
        end = start + one.nbytes
        if end > start:
            raw = torch.frombuffer(message.body, dtype=torch.uint8)[start:end]
        else:
            raw = torch.empty(0, dtype=torch.uint8)
        if start % one.dtype.itemsize:
            raw = raw.clone()  # views of wider types must be aligned
        part = raw.view(one.dtype).view(one.shape)
        parts.append(part.to(device) if one.on_device else part)
        start = end
    return tuple(parts)


Shapes = list[tuple[torch.dtype, torch.Size]]


def check_alike(mine: Shapes, theirs: Payload, peer: int) -> Payload:
    """`theirs`, the other half of an exchange, if it has the shapes of this half. Raises ValueError."""
    its = [(part.dtype, part.shape) for part in theirs]
    if its != mine:
        raise ValueError(
            f"learner {peer} exchanges {_in_words(its)} where this one exchanges {_in_words(mine)}"
        )
    return theirs


def _in_words(shapes: Shapes) -> str:
    return " and ".join(f"{dtype} {list(shape)}" for dtype, shape in shapes) or "nothing"


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
