"""What `dasr calibrate` measures."""

from __future__ import annotations

import itertools

import pytest

from dasr.planning.probe import sizes


@pytest.mark.parametrize(
    ("most", "last"), [(1024, 1024), (2047, 1024), (2048, 2048), (1 << 24, 1 << 24), ((1 << 24) - 1, 1 << 23)]
)
def test_sizes_double_from_a_kilobyte_and_none_is_above_the_largest(most: int, last: int) -> None:
    found = sizes(most)
    assert found[0] == 1024 and found[-1] == last
    assert all(b == 2 * a for a, b in itertools.pairwise(found))
