"""What a learner computes: the gradient of its next local batch. Quadratic, CPU model, captured CUDA step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from dasr.worlds.interface import ALL, Ready


class Task(Protocol):
    """The work of one learner. Each learner of a run has its own, with its own share of the data."""

    num_parameters: int

    def initial(self) -> Tensor:
        """Flat [num_parameters] weights to start from, on the training device, the same for every learner."""
        ...

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float | Tensor:
        """Mean gradient over the next local batch at `weights` (flat, read only, the same address in every
        call), written into `gradient` (flat); its mean loss.

        Calls `ready(slice)` with each slice of `gradient` as soon as that slice is final."""
        ...

    def describe_batch(self) -> object:
        """Which data the last call of gradient() saw, as str() of it says: for the error that names a
        batch."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Position in the data, state of random generators: tensors, numbers, strings, lists, dicts only."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class CopiesWeights(Protocol):
    """A task that copies the weights itself (casting them, say), so that the learner need not."""

    gradient_dtype: torch.dtype  # of the flat gradient that it writes

    def load_weights(self, weights: Tensor, gradient: Tensor, where: slice = ALL) -> None:
        """Copy `weights` (there); the next gradient() is taken at the copy and written into `gradient`.

        Called before it, under the lock."""
        ...


@runtime_checkable
class HasShapes(Protocol):
    """A task that tells what its flat vectors consist of: some codecs compress each matrix by itself."""

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        """Of the parameters, in their order in the flat vectors, without gaps."""
        ...


class Quadratic:
    """Least squares on a learner's own data: f(w) = |w - t_i|^2 / 2, a noisy target t_i for each sample.

    The gradient is w - mean(t_i), so every recursion can be followed in NumPy. Samples are numbered:
    learner r of L sees samples s * B + r * B/L ... of step s, so L learners see what one with the whole
    batch sees.
    """

    def __init__(
        self,
        dimension: int = 8,
        *,
        batch: int = 1,
        rank: int = 0,
        size: int = 1,
        seed: int = 0,
        noise: float = 1.0,
        dtype: torch.dtype = torch.float64,
    ):
        """`batch`: samples a step of all learners together, `noise`: deviation of targets around 0."""
        if batch % size:
            raise ValueError(f"a batch of {batch} cannot be shared equally by {size} learners")
        self.num_parameters = dimension
        self.local_batch = batch // size
        self.batch, self.rank, self.seed, self.noise, self.dtype = batch, rank, seed, noise, dtype
        self.steps = 0

    def initial(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.num_parameters, generator=generator, dtype=torch.float64).to(self.dtype) + 3.0

    def target(self, sample: int) -> Tensor:
        """The target of one sample, float64 [num_parameters]."""
        generator = torch.Generator().manual_seed((self.seed << 40) + sample + 1)
        return self.noise * torch.randn(self.num_parameters, generator=generator, dtype=torch.float64)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float:
        first = self.steps * self.batch + self.rank * self.local_batch
        targets = torch.stack([self.target(first + i) for i in range(self.local_batch)]).to(self.dtype)
        self.steps += 1
        gradient.copy_(weights - targets.mean(0))
        half = self.num_parameters // 2
        for part in (gradient[half:], gradient[:half]):  # as a backward pass: last layers first
            if part.numel():
                ready(part)
        return float((weights - targets).square().sum(1).mean() / 2)

    def describe_batch(self) -> str:
        first = (self.steps - 1) * self.batch + self.rank * self.local_batch
        return f"samples {first} to {first + self.local_batch - 1}"

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = int(state["steps"])
