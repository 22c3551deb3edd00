"""Any torch module with any loss and any source of batches: what a learner of `dasr.compare` computes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dasr.models.flat import FlatModule
from dasr.tasks.own_randomness import OwnRandomness
from dasr.worlds.interface import Ready

Loss = Callable[[nn.Module, Any], Tensor]
"""(module, batch) -> the mean loss over the batch."""


class ModuleTask:
    """Learner `rank` of `size` takes the batches rank, rank + size, rank + 2 size... of the source."""

    def __init__(
        self,
        module: nn.Module,
        loss: Loss,
        batches: Callable[[int], Any],
        seed: int = 0,
        rank: int = 0,
        size: int = 1,
    ):
        """`module` is copied; `batches(index)`: the same batch for the same index; `seed`: of dropout."""
        self.flat = FlatModule(copy.deepcopy(module).train())
        self.loss, self.batches, self.rank, self.size = loss, batches, rank, size
        self.num_parameters = self.flat.weights.numel()
        self.steps = 0
        self._randomness = OwnRandomness(self.flat.weights.device, seed * 100_003 + rank)

    def initial(self) -> Tensor:
        return self.flat.weights.clone()

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float:
        self.flat.weights.copy_(weights)
        self.flat.point_gradients_at(gradient)
        batch = self.batches(self.steps * self.size + self.rank)
        self.steps += 1
        with self._randomness:
            loss = self.loss(self.flat.module, batch)
        self.flat.backward(loss, ready)
        return float(loss.detach())

    @torch.no_grad()
    def evaluate(self, weights: Tensor, batches: list[Any]) -> float:
        """The mean loss over `batches` at these weights, in evaluation mode."""
        self.flat.weights.copy_(weights)
        self.flat.module.eval()
        return sum(float(self.loss(self.flat.module, batch)) for batch in batches) / len(batches)

    def describe_batch(self) -> str:
        return f"number {(self.steps - 1) * self.size + self.rank}"

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "random": self._randomness.state.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = int(state["steps"])
        self._randomness.state = state["random"].clone()
