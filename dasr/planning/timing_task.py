"""The task of a timing-only simulation: gradients that take their time and have their size, but no values."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dasr.strategies.matrices import near_square
from dasr.tasks.task import HasShapes, Task
from dasr.worlds.interface import Ready
from dasr.worlds.simulated.placeholder import placeholder

SLICES = 8  # in which a backward pass gives the gradient, last layers first


@dataclass(frozen=True)
class Anatomy:
    """What a timing-only simulation must know of a task to cost exactly what the task costs."""

    parameters: int
    shapes: tuple[tuple[int, ...], ...]  # of the parameters, in their order
    parts: tuple[tuple[int, int], ...]  # slices of the gradient, in the order in which they become final

    @classmethod
    def of(cls, task: Task) -> Anatomy:
        """Computes one gradient."""
        weights = task.initial()
        gradient, parts = torch.zeros_like(weights), list[tuple[int, int]]()

        def ready(part: Tensor) -> None:
            begin = int(part.storage_offset() - gradient.storage_offset())
            parts.append((begin, begin + len(part)))

        task.gradient(weights, gradient, ready)
        shapes = task.shapes if isinstance(task, HasShapes) else near_square(len(weights))
        return cls(len(weights), tuple(map(tuple, shapes)), tuple(parts))


def equal_slices(parameters: int, slices: int = SLICES) -> Anatomy:
    """A near-square matrix in each slice, the last one first."""
    slices = min(slices, parameters)
    edges = [parameters * i // slices for i in range(slices + 1)]
    pairs = list(itertools.pairwise(edges))
    shapes = tuple(shape for a, b in pairs for shape in near_square(b - a))
    return Anatomy(parameters, shapes, tuple(pairs[::-1]))


class TimingTask:
    """A model of so many float32 parameters, without values."""

    def __init__(self, anatomy: Anatomy | int) -> None:
        """A number of parameters: in equal slices."""
        self.anatomy = equal_slices(anatomy) if isinstance(anatomy, int) else anatomy
        self.num_parameters = self.anatomy.parameters
        self._parts: list[Tensor] = []

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        return self.anatomy.shapes

    def initial(self) -> Tensor:
        return placeholder(self.num_parameters)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float:
        if not self._parts:
            self._parts = [gradient[a:b] for a, b in self.anatomy.parts]
        for part in self._parts:
            ready(part)
        return 0.0

    def describe_batch(self) -> str:
        return "without data"

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is none."""
