"""Symmetric memory of a host's learners: what is a part of which vector, and who owns which slice."""

from __future__ import annotations

import pytest
import torch

from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.region import cut_into
from tests.support.played_memory import together


@pytest.mark.parametrize(("length", "count"), [(1000, 3), (64, 2), (5, 8), (129, 2)])
def test_slices_cover_a_vector_once_and_those_of_long_ones_begin_at_multiples_of_64(
    length: int, count: int
) -> None:
    slices = cut_into(length, count)
    assert len(slices) == count
    assert [n for part in slices for n in range(part.start, part.stop)] == list(range(length))
    if length > 64 * count:
        assert all(part.start % 64 == 0 or part.start == length for part in slices)


def test_a_part_of_a_shared_vector_is_found_at_its_offset_and_other_memory_is_not() -> None:
    def life(memory: PeerMemory, rank: int) -> None:
        vector = memory.region.symmetric_like(torch.empty(20))
        everyone, offset = memory.region.place(vector[7:9])
        assert offset == 7 and len(everyone) == 2
        assert memory.region.everyone(vector[7:9]) is everyone
        assert everyone[rank].data_ptr() == vector.data_ptr()
        assert not memory.region.holds(torch.empty(20))
        assert not memory.region.holds(vector[::2])  # not contiguous

    together((0, 1), life)
