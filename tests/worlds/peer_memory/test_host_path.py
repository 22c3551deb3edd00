"""Exchanges through memory of the host that two learners share, beside played memory of GPUs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.worlds.peer_memory import host_path
from dasr.worlds.peer_memory.region import PeerMemory
from tests.support.played_memory import numbers, together

STEP_S, STEPS = 0.01, 28


@pytest.fixture(autouse=True)
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """They meet early, and the way through the host is as fast as need be."""
    values = {"FIRST": 1, "LAST": 4, "GAP": 3, "BYTES_A_SECOND": 1e12, "LONGER": 100.0}
    for name, value in values.items():
        monkeypatch.setattr(host_path, name, value)


def files() -> int:
    """Descriptors of files without a name that this process has open."""
    open_ones = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return sum("memfd:dasr" in str(os.readlink(path)) for path in open_ones if path.is_symlink())


def ring(memory: PeerMemory, rank: int, learners: int, length: int, longer: float = 1.0) -> list[bool]:
    """Some steps, so many times as long through the host; whether those with each partner took that way in
    the end."""
    memory.symmetric_like(torch.empty(length))
    peers = list(dict.fromkeys([(rank - 1) % learners, (rank + 1) % learners]))  # as `sd` has them
    for turn in range(STEPS):
        mine: tuple[Tensor, ...] = (numbers(rank, length - 8, turn), torch.tensor([rank], dtype=torch.int16))
        waits = [memory.buffers.exchange(mine, peer) for peer in peers]
        changed = any(group.through_host for group in memory.ways._groups.values())
        time.sleep(STEP_S * (longer if changed else 1.0))
        for peer, wait in zip(peers, waits, strict=True):
            theirs, name = wait()
            assert int(name) == peer and torch.equal(theirs, numbers(peer, length - 8, turn))
    groups = [memory.ways._groups["exchange", (min(rank, peer), max(rank, peer))] for peer in peers]
    assert all(group.settled for group in groups)
    return [group.through_host for group in groups]


@pytest.mark.parametrize("learners", [2, 3, 4, 5])
@pytest.mark.parametrize(("rate", "through_the_host"), [(20e6, True), (2e3, False)])
def test_what_has_time_goes_through_the_host_and_is_the_same(
    learners: int, rate: float, through_the_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 kB in steps of 10 ms: by each rate it takes a fifth of them or far more. Each asks its left partner
    first, so that who waited in turn for its partners would wait for ever."""
    monkeypatch.setattr(host_path, "BYTES_A_SECOND", host_path.PATIENCE * rate)
    ways = together(range(learners), lambda memory, rank: ring(memory, rank, learners, 10_000))
    assert ways == [[through_the_host] * (1 if learners == 2 else 2)] * learners
    assert files() == 0  # nothing is left, whatever becomes of the learners


@pytest.mark.parametrize("learners", [2, 3, 4])
@pytest.mark.parametrize(("longer", "through_the_host"), [(4.0, False), (1.0, True)])
def test_they_go_back_to_the_links_where_steps_have_become_longer(
    learners: int, longer: float, through_the_host: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_path, "LONGER", 2.0)
    ways = together(range(learners), lambda memory, rank: ring(memory, rank, learners, 1000, longer))
    assert ways == [[through_the_host] * (1 if learners == 2 else 2)] * learners
    assert files() == 0


def test_a_payload_that_outgrows_its_slots_goes_over_the_link() -> None:
    def life(memory: PeerMemory, rank: int) -> list[float]:
        memory.symmetric_like(torch.empty(1000))
        seen = []
        for turn in range(STEPS):
            payload = torch.full((1000 if turn > 20 else 500,), float(10 * turn + rank))
            wait = memory.buffers.exchange(payload, 1 - rank)
            time.sleep(STEP_S)
            theirs = wait()
            assert isinstance(theirs, Tensor) and len(theirs) == len(payload)
            seen.append(float(theirs.mean()) - 10 * turn)
        pair = memory.ways._groups["exchange", (0, 1)].meetings[1 - rank].pair
        assert pair is not None and pair.size == 2000
        return seen

    assert together(range(2), life) == [[1.0] * STEPS, [0.0] * STEPS]


@pytest.mark.parametrize("trouble", ["no such files", "no room", "another container", "not to be pinned"])
@pytest.mark.parametrize("whose", [0, 1])
def test_where_the_host_shares_no_memory_the_link_is_used(
    trouble: str, whose: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends come to it, though only one of them has met with the trouble."""
    opened = host_path._Meeting._open

    def refused(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    def opens(self: host_path._Meeting, name: str, size: int, pinned: bool) -> None:
        with monkeypatch.context() as patch:
            if self.first == (whose == 0) and trouble == "another container":
                name = name.replace(f"/proc/{os.getpid()}", "/proc/1").replace("/fd/", "/fd/99")
            if self.first == (whose == 0) and trouble == "not to be pinned":
                patch.setattr(host_path, "HostPair", _unpinned)
            opened(self, name, size, pinned)

    monkeypatch.setattr(host_path._Meeting, "_open", opens)
    match trouble:
        case "no such files":
            monkeypatch.delattr(os, "memfd_create")
        case "no room":
            monkeypatch.setattr(os, "posix_fallocate", refused)
    assert together(range(2), lambda memory, rank: ring(memory, rank, 2, 20_000)) == [[False], [False]]
    assert files() == 0


def test_those_that_are_left_agree_anew_however_far_each_had_come() -> None:
    """A learner is lost while its host makes an update: one of the others had begun it, one had not."""

    def life(memory: PeerMemory, rank: int) -> list[bool]:
        for step in range(7 - rank):
            assert not memory.ways.among((0, 1, 2), 4000, False)
            time.sleep(STEP_S * (step < 5))
        if rank == 2:
            return []
        found = []
        for _ in range(STEPS):
            found.append(bool(memory.ways.among((0, 1), 4000, False)))
            time.sleep(STEP_S)
        return found

    first, second, _ = together(range(3), life)
    assert first == second and first[-1] and not first[0]


def test_another_process_s_file_is_not_taken_for_the_one() -> None:
    """A learner in another container may have the same number, and a file under the same descriptor."""
    file, name = host_path._made(1000)
    other, _ = host_path._made(1000)
    assert file is not None and other is not None
    assert host_path._is_it(name) and not host_path._is_it("")
    assert not host_path._is_it(name.replace(f"/fd/{file}", f"/fd/{other}"))
    os.close(file)
    os.close(other)
    with pytest.raises(OSError):
        host_path._is_it(name)


def _unpinned(*args: Any) -> Any:
    raise RuntimeError("this memory of the host cannot be pinned (CUDA error 801)")
