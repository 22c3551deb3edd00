"""Memory of the host that two of its learners share: a way between their GPUs that leaves the links asleep.

A link that was used stays awake for a while (50 ms on an H200). A GPU at its power cap then has less left for
its clock: 2 % of the speed, however few the bytes are. So they go this way, in pinned memory, where a step
has time for it. Learners agree on that in stages, GAP exchanges apart: what one hears in a stage others have
said in the one before, so nobody waits for somebody who waits for a third.
"""

from __future__ import annotations

import itertools
import os
import stat
import time
import uuid
import weakref
from pathlib import Path
from statistics import median
from typing import Protocol

import torch
from torch import Tensor

SLOTS = 2  # each way
FIRST, LAST = 8, 24  # exchanges with a partner between which its pace is taken
GAP = 8  # more than a learner's host is ahead of its GPU, and so of its partners
BYTES_A_SECOND = 25e9  # one way over PCIe 4.0 x16
PATIENCE = 4  # times as long as that, at least, lasts a step in which it is not noticed
TOKEN = 32  # bytes, at the end


class Board(Protocol):
    """Where the learners of a host leave word for each other."""

    def say(self, key: str, value: str) -> None: ...
    def hear(self, key: str, ranks: tuple[int, ...]) -> list[str]:
        """What these have said under that key, once all have."""
        ...


class HostPair:
    """Slots of `size` bytes: of what goes from the first to the second of two learners, and back."""

    def __init__(self, path: str, size: int, pinned: bool):
        """Raises OSError, RuntimeError."""
        self.size = size
        self.flat = torch.from_file(path, shared=True, size=_room(size), dtype=torch.uint8)
        if pinned:
            runtime = torch.cuda.cudart()  # type: ignore[no-untyped-call]
            code = int(runtime.cudaHostRegister(self.flat.data_ptr(), self.flat.nbytes, 0))
            if code:
                raise RuntimeError(f"this memory of the host cannot be pinned (CUDA error {code})")
            weakref.finalize(self, runtime.cudaHostUnregister, self.flat.data_ptr())

    def at(self, back: bool, slot: int, begin: int, like: Tensor) -> Tensor:
        begin += (SLOTS * back + slot) * self.size
        return self.flat[begin : begin + like.nbytes].view(like.dtype).view(like.shape)


class _Meeting:
    """One learner's way to a pair with a partner. `done`: it has come to its end, `pair` or none."""

    def __init__(self, rank: int, peer: int, members: tuple[int, ...], board: Board):
        self.both, self.board = (min(rank, peer), max(rank, peer)), board
        self.first, self.key = rank < peer, f"{_key(members)}/{self.both[0]}-{self.both[1]}"
        self.times: list[float] = []
        self.file: int | None = None  # kept open until the other one has it too
        self.pair: HostPair | None = None
        self.done = False

    def exchange(self, size: int, pinned: bool) -> None:
        """Called before each exchange of `size` bytes."""
        self.times.append(time.perf_counter())
        match len(self.times) - LAST:
            case 0:
                times = self.times[FIRST:]
                pace = median(b - a for a, b in itertools.pairwise(times))
                self.board.say(f"{self.key}/pace", str(pace))
            case stage if stage == GAP:
                paces = self.board.hear(f"{self.key}/pace", self.both)
                self.done = min(map(float, paces)) * BYTES_A_SECOND < PATIENCE * size
                if self.first and not self.done:
                    self.file, name = _made(_room(size))
                    self._open(name, size, pinned)
                    self.board.say(f"{self.key}/name", name)
            case stage if stage == 2 * GAP and not self.first:
                self._open(self.board.hear(f"{self.key}/name", self.both[:1])[0], size, pinned)
            case stage if stage == 3 * GAP:
                if not all(self.board.hear(f"{self.key}/opened", self.both)):
                    self.pair = None
                if self.file is not None:
                    os.close(self.file)
                self.done = True

    def _open(self, name: str, size: int, pinned: bool) -> None:
        try:
            self.pair = HostPair(name.partition(" ")[0], size, pinned) if _is_it(name) else None
        except (OSError, RuntimeError):
            self.pair = None
        self.board.say(f"{self.key}/opened", "" if self.pair is None else "yes")


class Ways:
    """Which way what learner `rank` and its partners exchange takes: both ends come to the same answer."""

    def __init__(self, rank: int, board: Board | None):
        """`board` None: always over the links."""
        self.rank, self.board = rank, board
        # With each partner: exchanges with it alone, and updates of more, which may end before all have begun
        self._meetings: dict[tuple[int, tuple[int, ...]], _Meeting] = {}
        self._updates: dict[tuple[int, ...], int] = {}  # that these have made together
        self._agreed: dict[tuple[int, ...], bool] = {}

    def to(self, peer: int, size: int, pinned: bool) -> HostPair | None:
        """For the next exchange of `size` bytes with that partner; None: over the link."""
        return self._way(peer, (), size, pinned)

    def _way(self, peer: int, members: tuple[int, ...], size: int, pinned: bool) -> HostPair | None:
        if self.board is None:
            return None
        if (peer, members) not in self._meetings:
            self._meetings[peer, members] = _Meeting(self.rank, peer, members, self.board)
        meeting = self._meetings[peer, members]
        if not meeting.done:
            meeting.exchange(size, pinned)
        pair = meeting.pair if meeting.done else None
        return pair if pair is not None and size <= pair.size else None

    def among(self, members: tuple[int, ...], size: int, pinned: bool) -> dict[int, HostPair]:
        """For the next update that all these make: ways to each other; none: over the links, all of them."""
        ways = {peer: self._way(peer, members, size, pinned) for peer in members if peer != self.rank}
        if self.board is None:
            return {}
        self._updates[members] = self._updates.get(members, 0) + 1
        stage, key = self._updates[members] - LAST - 3 * GAP, f"{_key(members)}/all"
        if stage == 1:  # the last meetings are at their end
            self.board.say(key, "" if None in ways.values() else "yes")
        elif stage == 1 + GAP:
            self._agreed[members] = all(self.board.hear(key, members))
        agreed = self._agreed.get(members, False)
        return {peer: way for peer, way in ways.items() if way is not None and agreed}


def _key(members: tuple[int, ...]) -> str:
    return "way/" + "-".join(map(str, members))


def _room(size: int) -> int:
    return 2 * SLOTS * size + TOKEN


def _made(size: int) -> tuple[int | None, str]:
    """A file of so many bytes that lives in memory and has no name: nothing of it is left when learners die.
    Its descriptor, and by what another process finds it and knows that it is the one."""
    try:
        file = os.memfd_create("dasr")
    except (AttributeError, OSError):
        return None, ""
    token = uuid.uuid4().hex
    try:
        os.posix_fallocate(file, 0, size)
        os.pwrite(file, token.encode(), size - TOKEN)
    except OSError:
        os.close(file)
        return None, ""
    return file, f"/proc/{os.getpid()}/fd/{file} {token}"


def _is_it(name: str) -> bool:
    """False where there is no such file: the other end may live in another container. Raises OSError."""
    path, _, token = name.partition(" ")
    if not token or not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe may take for ever
        return False
    with Path(path).open("rb") as file:
        file.seek(-TOKEN, os.SEEK_END)
        return file.read() == token.encode()
