"""Memory of the host that two of its learners share: a way between their GPUs that leaves the links asleep.

A link that was used stays awake for a while (50 ms on an H200). A GPU at its power cap then has less left for
its clock: 2 % of the speed, however few the bytes are. So they go this way, in pinned memory, where a step
has time for it, and go back where steps have become longer: hosts and the partners on them differ. Learners
agree on that in stages, GAP exchanges apart: what one hears in a stage others have said in the one before, so
nobody waits for somebody who waits for a third.
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
FIRST, LAST = 8, 24  # exchanges between which the pace is taken, from the start and from a change of way
GAP = 8  # more than a learner's host is ahead of its GPU, and so of its partners
BYTES_A_SECOND = 25e9  # one way over PCIe 4.0 x16
PATIENCE = 4  # times as long as that, at least, lasts a step in which it is not noticed
LONGER = 1.02  # times as long as before: go back
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
    """One learner's way to a pair with a partner, or to none."""

    def __init__(self, rank: int, peer: int, key: str, board: Board):
        self.both, self.board = (min(rank, peer), max(rank, peer)), board
        self.first, self.key = rank < peer, f"{key}/{self.both[0]}-{self.both[1]}"
        self.file: int | None = None  # kept open until the other one has it too
        self.pair: HostPair | None = None

    def make(self, size: int, pinned: bool) -> None:
        if self.first:
            self.file, name = _made(_room(size))
            self._open(name, size, pinned)
            self.board.say(f"{self.key}/name", name)

    def find(self, size: int, pinned: bool) -> None:
        if not self.first:
            self._open(self.board.hear(f"{self.key}/name", self.both[:1])[0], size, pinned)

    def _open(self, name: str, size: int, pinned: bool) -> None:
        try:
            self.pair = HostPair(name.partition(" ")[0], size, pinned) if _is_it(name) else None
        except (OSError, RuntimeError):
            self.pair = None
        self.board.say(f"{self.key}/opened", "" if self.pair is None else "yes")

    def end(self) -> bool:
        """Whether both have opened it."""
        if self.file is not None:
            os.close(self.file)
        return all(self.board.hear(f"{self.key}/opened", self.both))


class _Group:
    """Learners that exchange something with each other again and again: all of them take the same way."""

    def __init__(self, rank: int, members: tuple[int, ...], name: str, board: Board):
        self.members, self.board = members, board
        self.key = f"way/{name}/" + "-".join(map(str, members))
        self.meetings = {peer: _Meeting(rank, peer, self.key, board) for peer in members if peer != rank}
        self.times: list[float] = []  # when exchanges began
        self.before = 0.0  # the pace over the links, in seconds
        self.through_host, self.settled = False, False

    def exchange(self, size: int, pinned: bool) -> None:
        """Called before each exchange of `size` bytes."""
        self.times.append(time.perf_counter())
        meetings, trial = self.meetings.values(), LAST + 4 * GAP
        match len(self.times) - LAST:
            case 0:
                self._say("pace", str(self._pace()))
            case stage if stage == GAP:
                self.settled = min(map(float, self._hear("pace"))) * BYTES_A_SECOND < PATIENCE * size
                for meeting in [] if self.settled else meetings:
                    meeting.make(size, pinned)
            case stage if stage == 2 * GAP:
                for meeting in meetings:
                    meeting.find(size, pinned)
            case stage if stage == 3 * GAP:
                self._say("opened", "yes" if all([meeting.end() for meeting in meetings]) else "")
            case stage if stage == 4 * GAP:
                self.through_host = all(self._hear("opened"))
                self.settled, self.before = not self.through_host, self._pace()
            case stage if stage == trial:
                self._say("trial", f"{self.before} {self._pace()}")
            case stage if stage == trial + GAP:
                before, after = zip(*(map(float, told.split()) for told in self._hear("trial")), strict=True)
                self.through_host = max(after) < LONGER * max(before)
                self.settled = self.through_host
            case stage if stage == trial + 2 * GAP:  # nothing that is under way needs it any more
                self.settled = True
        if self.settled and not self.through_host:
            self.meetings.clear()

    def _pace(self) -> float:
        return median(b - a for a, b in itertools.pairwise(self.times[FIRST - LAST :]))

    def _say(self, key: str, value: str) -> None:
        self.board.say(f"{self.key}/{key}", value)

    def _hear(self, key: str) -> list[str]:
        return self.board.hear(f"{self.key}/{key}", self.members)


class Ways:
    """Which way what learner `rank` and its partners exchange takes: all ends come to the same answer."""

    def __init__(self, rank: int, board: Board | None):
        """`board` None: always over the links."""
        self.rank, self.board = rank, board
        self._groups: dict[tuple[str, tuple[int, ...]], _Group] = {}

    def to(self, peer: int, size: int, pinned: bool) -> HostPair | None:
        """For the next exchange of `size` bytes with that partner; None: over the link."""
        both = (min(self.rank, peer), max(self.rank, peer))
        return self._ways("exchange", both, size, pinned).get(peer)

    def among(self, members: tuple[int, ...], size: int, pinned: bool) -> dict[int, HostPair]:
        """For the next update that all these make: ways to each other; none: over the links, all of them."""
        return self._ways("update", members, size, pinned)

    def _ways(self, name: str, members: tuple[int, ...], size: int, pinned: bool) -> dict[int, HostPair]:
        if self.board is None:
            return {}
        if (name, members) not in self._groups:
            self._groups[name, members] = _Group(self.rank, members, name, self.board)
        group = self._groups[name, members]
        if not group.settled:
            group.exchange(size, pinned)
        pairs = {peer: meeting.pair for peer, meeting in group.meetings.items()} if group.through_host else {}
        return {peer: pair for peer, pair in pairs.items() if pair is not None and size <= pair.size}


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
