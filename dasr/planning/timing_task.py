"""The task of a timing-only simulation: gradients that take their time and have their size, but no values."""

from __future__ import annotations

import itertools
from typing import Any

from torch import Tensor

from dasr.strategies.matrices import near_square
from dasr.worlds.interface import Ready
from dasr.worlds.simulated.placeholder import placeholder

SLICES = 8  # in which a backward pass gives the gradient, last layers first


class TimingTask:
    """A model of `parameters` float32 parameters; its gradient arrives in equal slices."""

    def __init__(self, parameters: int, slices: int = SLICES) -> None:
        self.num_parameters = parameters
        self.slices = min(slices, parameters)
        self._parts: list[Tensor] = []

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """A near-square matrix in each slice."""
        edges = [self.num_parameters * i // self.slices for i in range(self.slices + 1)]
        return [shape for a, b in itertools.pairwise(edges) for shape in near_square(b - a)]

    def initial(self) -> Tensor:
        return placeholder(self.num_parameters)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float:
        if not self._parts:
            edges = [self.num_parameters * i // self.slices for i in range(self.slices + 1)]
            self._parts = [gradient[a:b] for a, b in itertools.pairwise(edges)][::-1]
        for part in self._parts:
            ready(part)
        return 0.0

    def describe_batch(self) -> str:
        return "without data"

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is none."""
