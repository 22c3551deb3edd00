"""Exchanges through memory of the host that two learners share, beside played memory of GPUs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dasr.worlds import peer_host
from dasr.worlds.peer_memory import PeerMemory
from tests.worlds.played_memory import numbers, together

STEP_S = 0.01


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The pace is taken early, and 100 kB count as much for the way through the host."""
    monkeypatch.setattr(peer_host, "FOLDER", tmp_path)
    monkeypatch.setattr(peer_host, "FIRST", 1)
    monkeypatch.setattr(peer_host, "LAST", 4)
    monkeypatch.setattr(peer_host, "BYTES_A_SECOND", 100e3 * peer_host.PATIENCE / (STEP_S / 2))
    return tmp_path


def ring(memory: PeerMemory, rank: int, learners: int, length: int) -> list[bool]:
    """Twelve steps; whether those with each partner went through the host."""
    memory.shared(torch.empty(length))
    peers = sorted({(rank - 1) % learners, (rank + 1) % learners})
    for turn in range(12):
        mine: tuple[Tensor, ...] = (numbers(rank, length - 8, turn), torch.tensor([rank], dtype=torch.int16))
        waits = [memory.windows.exchange(mine, peer) for peer in peers]
        time.sleep(STEP_S)
        for peer, wait in zip(peers, waits, strict=True):
            theirs, name = wait()
            assert int(name) == peer and torch.equal(theirs, numbers(peer, length - 8, turn))
    return [memory.ways._pairs[peer] is not None for peer in peers]


@pytest.mark.parametrize("learners", [2, 3])
@pytest.mark.parametrize(("length", "through_the_host"), [(20_000, True), (100_000, False)])
def test_what_has_time_goes_through_the_host_and_is_the_same(
    learners: int, length: int, through_the_host: bool, folder: Path
) -> None:
    ways = together(range(learners), lambda memory, rank: ring(memory, rank, learners, length))
    assert ways == [[through_the_host] * (1 if learners == 2 else 2)] * learners
    assert not list(folder.iterdir())  # nothing is left, whatever becomes of the learners


def test_a_payload_that_outgrows_its_slots_goes_over_the_link() -> None:
    def life(memory: PeerMemory, rank: int) -> list[float]:
        memory.shared(torch.empty(1000))
        seen = []
        for turn in range(12):
            payload = torch.full((1000 if turn > 8 else 500,), float(10 * turn + rank))
            wait = memory.windows.exchange(payload, 1 - rank)
            time.sleep(STEP_S)
            theirs = wait()
            assert isinstance(theirs, Tensor) and len(theirs) == len(payload)
            seen.append(float(theirs.mean()) - 10 * turn)
        pair = memory.ways._pairs[1 - rank]
        assert pair is not None and pair.size == 2000
        return seen

    assert together(range(2), life) == [[1.0] * 12, [0.0] * 12]


@pytest.mark.parametrize("trouble", ["no folder", "no room", "another container", "not to be pinned"])
def test_where_the_host_shares_no_memory_the_link_is_used(
    trouble: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ends come to it, though only one of them may have met with the trouble."""
    real = peer_host.HostPair.__init__

    def refuse(self: peer_host.HostPair, path: Path, size: int, pinned: bool) -> None:
        time.sleep(0.05)
        if next(turns):
            raise RuntimeError("CUDA error 801")
        real(self, path, size, pinned)

    turns = iter([0, 1])
    match trouble:
        case "no folder":
            monkeypatch.setattr(peer_host, "FOLDER", folder / "none")
        case "no room":

            def full(*args: int) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(peer_host.os, "posix_fallocate", full)
        case "another container":
            monkeypatch.setattr(peer_host, "_made", lambda size: _elsewhere(folder))
        case "not to be pinned":
            monkeypatch.setattr(peer_host.HostPair, "__init__", refuse)
    assert together(range(2), lambda memory, rank: ring(memory, rank, 2, 20_000)) == [[False], [False]]
    assert not [path for path in folder.iterdir() if path.is_file()]


def _elsewhere(folder: Path) -> Path:
    """A path that exists for its maker alone: gone when the other one looks."""

    class Mine(type(folder)):  # type: ignore[misc]
        def unlink(self, missing_ok: bool = False) -> None: ...

    return Mine(folder / "elsewhere")
