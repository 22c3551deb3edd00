"""A gradient without values has the size of the real one, slice by slice."""

from __future__ import annotations

import math

import pytest
from torch import Tensor

from dasr.planning.timing_task import SLICES, TimingTask


@pytest.mark.parametrize("parameters", [3, 1000, 43_154_944])
def test_its_slices_are_equal_and_cover_the_gradient_from_its_end(
    parameters: int,
) -> None:
    task = TimingTask(parameters)
    told: list[Tensor] = []
    task.gradient(task.initial(), task.initial(), told.append)
    assert len(told) == min(SLICES, parameters)
    sizes = [part.numel() for part in told]
    assert sum(sizes) == parameters and max(sizes) - min(sizes) <= 1
    begins = [part.storage_offset() for part in told]
    assert begins == sorted(begins, reverse=True) and begins[-1] == 0
    assert sum(math.prod(shape) for shape in task.shapes) == parameters
