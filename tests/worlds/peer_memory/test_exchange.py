"""Exchanges through buffers in memory that the learners of a host share."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.worlds.peer_memory.exchange import START_AFTER_ONE_IN
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.region import PeerRegion
from tests.support.played_memory import numbers, together


def test_messages_of_a_ring_cross_round_after_round(learners: int = 3) -> None:
    def life(memory: PeerMemory, rank: int) -> list[float]:
        memory.region.symmetric_like(torch.empty(50))
        seen = []
        for turn in range(5):
            peers = [(rank - 1) % learners, (rank + 1) % learners]
            mine = (torch.full((20,), 10.0 * turn + rank), torch.tensor([rank], dtype=torch.int64))
            waits = [memory.buffers.exchange(mine, peer) for peer in peers]
            for peer, wait in zip(peers, waits, strict=True):
                theirs, name = wait()
                assert int(name) == peer
                seen.append(float(theirs[0]) - 10 * turn - peer)
        return seen

    assert together(range(learners), life) == [[0.0] * 10] * learners


@pytest.mark.parametrize("parts", [0, 1, 2, 3, 7])
def test_exchanges_begin_when_one_is_awaited_or_in_the_midst_of_a_gradient(parts: int) -> None:
    """With both partners at a time; what is sent is what was there then. Learners come late in turn."""

    def life(memory: PeerMemory, rank: int) -> list[list[Tensor]]:
        memory.region.symmetric_like(torch.empty(40))
        seen, told = [], list[int]()
        peers = [(rank + 1) % 3, (rank + 2) % 3]
        for turn in range(6):
            mine = numbers(rank, 40, turn)
            waits = [memory.buffers.exchange((mine,), peer) for peer in peers]
            assert len(memory.buffers._waiting) == 2
            time.sleep(0.01 * (rank == turn % 3))
            if parts:
                ready = memory.buffers.start_during_backward(
                    lambda part: told.append(len(memory.buffers._waiting))
                )
                for _ in range(parts):
                    ready(mine)
                quiet = parts // START_AFTER_ONE_IN if turn else 0  # the first tells how many there are
                assert told[-parts:] == [2] * quiet + [0] * (parts - quiet)
            seen.append([wait()[0].clone() for wait in waits])
            assert not memory.buffers._waiting
        return seen

    for rank, seen in enumerate(together(range(3), life)):
        for turn, (one, other) in enumerate(seen):
            assert torch.equal(one, numbers((rank + 1) % 3, 40, turn))
            assert torch.equal(other, numbers((rank + 2) % 3, 40, turn))


def test_one_exchange_with_a_partner_is_under_way_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one goes another way, as both ends know."""
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda tensor: True))
    nowhere: Any = None
    memory = PeerMemory(PeerRegion(nowhere, (0, 1, 2), 0, nowhere))
    memory.region.window_bytes = 400
    payload = (torch.empty(100),)
    buffers = memory.buffers
    assert buffers.can_exchange(payload, 1, "main")
    buffers.exchange(payload, 1)
    assert not buffers.can_exchange(payload, 1, "main") and buffers.can_exchange(payload, 2, "main")


def test_buffers_belong_to_the_first_activity_that_exchanges_and_asking_claims_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda tensor: True))
    nowhere: Any = None
    memory = PeerMemory(PeerRegion(nowhere, (0, 1), 0, nowhere))
    memory.region.window_bytes = 400
    buffers, payload = memory.buffers, (torch.empty(100),)
    assert buffers.can_exchange(payload, 1, "mixing") and buffers.can_exchange(payload, 1, "main")
    buffers.claim_for("mixing")
    assert buffers.can_exchange(payload, 1, "mixing") and not buffers.can_exchange(payload, 1, "main")
