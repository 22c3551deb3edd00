"""All-reduces in memory that the learners of a host share."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from dasr.worlds.peer_memory.memory import PeerMemory
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
