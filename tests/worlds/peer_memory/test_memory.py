"""What a host's shared memory is used for, and when it cannot be."""

from __future__ import annotations

import torch

from dasr.worlds.peer_memory.memory import PeerMemory
from tests.support.played_memory import together


def test_only_vectors_in_symmetric_memory_of_learners_of_the_host_are_reduced() -> None:
    def life(memory: PeerMemory, rank: int) -> None:
        vector, own = memory.region.symmetric_like(torch.empty(12)), torch.empty(12)
        assert memory.can_reduce(vector, (0, 1)) and memory.can_reduce(vector[3:7], (0, 1))
        assert not memory.can_reduce(own, (0, 1))
        assert not memory.can_reduce(vector, (0, 5))  # of another host
        assert not memory.can_reduce(vector, (rank,))  # alone

    together((0, 1), life)


def test_a_sharded_update_needs_both_vectors_and_is_kept_for_the_next_step() -> None:
    def life(memory: PeerMemory, rank: int) -> None:
        gradient, weights = (memory.region.symmetric_like(torch.empty(12)) for _ in range(2))
        update = memory.sharded_update(gradient, weights, (0, 1))
        assert update is not None and memory.sharded_update(gradient, weights, (0, 1)) is update
        assert memory.sharded_update(gradient, torch.empty(12), (0, 1)) is None
        assert memory.sharded_update(torch.empty(12), weights, (0, 1)) is None

    together((0, 1), life)
