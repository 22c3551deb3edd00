"""The algorithms of memory that GPUs of a host share: reductions and exchanges, in played memory."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.worlds.peer_memory.exchange import START_AFTER_ONE_IN
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.region import PeerRegion
from tests.support.played_memory import numbers, together


@pytest.mark.parametrize("learners", [2, 3, 5])
@pytest.mark.parametrize("length", [3, 1000])
@pytest.mark.parametrize("op", ["mean", "sum"])
def test_slices_of_a_shared_vector_are_reduced_to_the_same_bits_everywhere(
    learners: int, length: int, op: str
) -> None:
    ranks = [4 + 2 * i for i in range(learners)]  # of a host that is not the first

    def life(memory: PeerMemory, rank: int) -> Tensor:
        vector = memory.region.symmetric_like(torch.empty(length))
        assert vector.eq(0).all()
        for turn in range(3):
            vector.copy_(numbers(rank, length, turn))
            cuts = [0, length // 3, length - 1, length]
            parts = [vector[a:b] for a, b in itertools.pairwise(cuts)]
            assert all(memory.can_reduce(part, ranks) for part in parts)
            waits = [memory.all_reduce(part, ranks, op) for part in reversed(parts)]
            for wait in waits:
                wait()
        return vector

    results = together(ranks, life)
    total = torch.stack([numbers(rank, length, 2) for rank in ranks]).double().sum(0)
    expected = total / learners if op == "mean" else total
    torch.testing.assert_close(results[0].double(), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(result, results[0]) for result in results)


def test_a_mean_can_go_into_another_vector_and_over_a_part_of_the_host() -> None:
    ranks = (0, 1, 2, 3)

    def life(memory: PeerMemory, rank: int) -> tuple[Tensor, Tensor]:
        memory.region.symmetric_like(torch.empty(77))
        out = memory.region.symmetric_like(torch.empty(77))
        own, pair = numbers(rank, 77), (0, 2) if rank % 2 == 0 else (1, 3)
        assert not memory.can_reduce(own, pair)
        assert not memory.can_reduce(out, (0, 9))
        return own, memory.all_reduce(own, pair, "mean", out)()

    for rank, (own, mean) in enumerate(together(ranks, life)):
        assert torch.equal(own, numbers(rank, 77))  # left alone
        expected = (numbers(rank, 77) + numbers((rank + 2) % 4, 77)) / 2
        torch.testing.assert_close(mean, expected)


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
