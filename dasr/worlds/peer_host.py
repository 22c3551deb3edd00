"""Memory of the host that two of its learners share: a way between their GPUs that leaves the links asleep.

A link that was used stays awake for a while (50 ms on an H200). A GPU at its power cap then has less left for
its clock: 2 % of the speed, however few the bytes are. So they go this way, in pinned memory, where a step
has time for it.
"""

from __future__ import annotations

import os
import time
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

FOLDER = Path("/dev/shm")
SLOTS = 2  # each way
FIRST, LAST = 8, 24  # exchanges with a partner between which its pace is taken
BYTES_A_SECOND = 25e9  # one way over PCIe 4.0 x16
PATIENCE = 4  # times as long as that, at least, lasts a step in which it is not noticed

Agree = Callable[[str, str, tuple[int, ...]], list[str]]
"""(key, value, ranks): what these learners, all of which call this, gave as values."""


class HostPair:
    """Slots of `size` bytes: of what goes from the first to the second of two learners, and back."""

    def __init__(self, path: Path, size: int, pinned: bool):
        """Raises OSError, RuntimeError."""
        self.size = size
        self.flat = torch.from_file(str(path), shared=True, size=2 * SLOTS * size, dtype=torch.uint8)
        if pinned:
            runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
            code = int(runtime.cudaHostRegister(self.flat.data_ptr(), self.flat.nbytes, 0))
            if code:
                raise RuntimeError(f"this memory of the host cannot be pinned (CUDA error {code})")
            weakref.finalize(self, runtime.cudaHostUnregister, self.flat.data_ptr())

    def at(self, back: bool, slot: int, begin: int, like: Tensor) -> Tensor:
        begin += (SLOTS * back + slot) * self.size
        return self.flat[begin : begin + like.nbytes].view(like.dtype).view(like.shape)


class Ways:
    """Which way what learner `rank` and its partners exchange takes: both ends come to the same answer."""

    def __init__(self, rank: int, agree: Agree | None):
        """`agree` None: always over the links."""
        self.rank, self.agree = rank, agree
        self._times: dict[int, list[float]] = {}  # of the first exchanges with each partner
        self._pairs: dict[int, HostPair | None] = {}
        self._groups: dict[tuple[int, ...], bool] = {}

    def to(self, peer: int, size: int, pinned: bool) -> HostPair | None:
        """For the next exchange of `size` bytes with that partner; None: over the link."""
        if self.agree is None:
            return None
        if peer not in self._pairs:
            times = self._times.setdefault(peer, [])
            times.append(time.perf_counter())
            if len(times) <= LAST:
                return None
            pace = median(b - a for a, b in zip(times[FIRST:-1], times[FIRST + 1 :], strict=True))
            self._pairs[peer] = self._meet(self.agree, peer, size, pace, pinned)
        pair = self._pairs[peer]
        return pair if pair is not None and size <= pair.size else None

    def among(self, members: tuple[int, ...], size: int, pinned: bool) -> dict[int, HostPair]:
        """For the next update that all these make: ways to each other; none: over the links, all of them."""
        ways = {peer: self.to(peer, size, pinned) for peer in members if peer != self.rank}
        if self.agree is None or ways.keys() - self._pairs.keys():
            return {}
        if members not in self._groups:
            own = "" if None in ways.values() else "yes"
            key = f"way/{'-'.join(map(str, members))}/all"
            self._groups[members] = all(self.agree(key, own, members))
        return {peer: way for peer, way in ways.items() if way is not None} if self._groups[members] else {}

    def _meet(self, agree: Agree, peer: int, size: int, pace: float, pinned: bool) -> HostPair | None:
        both = (min(self.rank, peer), max(self.rank, peer))
        key = f"way/{both[0]}-{both[1]}"
        if min(map(float, agree(f"{key}/pace", str(pace), both))) * BYTES_A_SECOND < PATIENCE * size:
            return None
        path = _made(2 * SLOTS * size) if self.rank == both[0] else None
        try:
            name = agree(f"{key}/name", "" if path is None else str(path), both)[0]
            pair = _opened(name, size, pinned)
            opened = agree(f"{key}/opened", "" if pair is None else "yes", both)
            return pair if all(opened) else None
        finally:
            if path is not None:
                path.unlink()


def _made(size: int) -> Path | None:
    """A file of so many bytes in memory, whose room is there."""
    path = FOLDER / f"dasr-{uuid.uuid4().hex}"
    try:
        with path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        path.unlink(missing_ok=True)
        return None
    return path


def _opened(name: str, size: int, pinned: bool) -> HostPair | None:
    """None where there is no such file: the other end may live in another container."""
    try:
        return HostPair(Path(name), size, pinned) if name and Path(name).exists() else None
    except (OSError, RuntimeError):
        return None
