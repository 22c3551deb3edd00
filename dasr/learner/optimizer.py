"""Local optimizers on flat buffers. A strategy averages weights or gradients, never an optimizer's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dasr.config import TrainingConfig
from dasr.cuda.linear_combination import combine_
from dasr.errors import UserError, nearest
from dasr.strategies.linear_combination import LinearCombination


class Optimizer:
    """Plain SGD: w <- (1 - a decay) w - a g, with g shortened to length `clip` where it is longer (None:
    never)."""

    def __init__(self, weights: Tensor, clip: float | None = None, decay: float = 0.0):
        """`weights`: flat [num_parameters]; only its shape, dtype and device are used."""
        self.clip, self.decay = clip, decay
        self.state: dict[str, Tensor] = {}

    @property
    def elementwise(self) -> bool:
        """Whether a part of the vectors can be updated by itself: no state, no norm of the whole."""
        return self.clip is None and not self.state

    def step(
        self,
        weights: Tensor,
        gradient: Tensor,
        learning_rate: float,
        mixed: LinearCombination = (),
        out: Tensor | None = None,
    ) -> Tensor:
        """`mixed` is added to `weights`, then the step made: in place, or in `out`, which it gives."""
        out = weights if out is None else out
        direction = self._direction(self._clipped(gradient))
        if mixed or direction.dtype != weights.dtype or self.decay:
            return combine_(out, [*mixed, (self._kept(learning_rate), weights), (-learning_rate, direction)])
        if out is weights:
            return weights.add_(direction, alpha=-learning_rate)
        return torch.add(weights, direction, alpha=-learning_rate, out=out)

    def step_part(
        self, weights: Tensor, gradient: LinearCombination, learning_rate: float, out: Tensor
    ) -> Tensor:
        """step() for a part of the vectors, where the optimizer is `elementwise`; gives `out`."""
        moved = ((-learning_rate * factor, part) for factor, part in gradient)
        return combine_(out, [(self._kept(learning_rate), weights), *moved])

    def _kept(self, learning_rate: float) -> float:
        return 1.0 - learning_rate * self.decay

    def _direction(self, gradient: Tensor) -> Tensor:
        return gradient

    def _clipped(self, gradient: Tensor) -> Tensor:
        if self.clip is None:
            return gradient
        wide = torch.promote_types(gradient.dtype, torch.float32)
        length = torch.linalg.vector_norm(gradient, dtype=wide).clamp_min(1e-12)
        scale: Tensor = (self.clip / length).clamp_max(1.0)
        return gradient * scale

    def state_dict(self) -> dict[str, Any]:
        return {name: value.clone() for name, value in self.state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state.keys() != self.state.keys():
            raise UserError(
                f"this optimizer's state has {sorted(self.state)}, the checkpoint's has {sorted(state)}"
            )
        for name, value in self.state.items():
            value.copy_(state[name])


class Momentum(Optimizer):
    """Heavy-ball momentum: m <- mu m + g; w <- w - a m. It stays local: it is never averaged."""

    def __init__(self, weights: Tensor, clip: float | None = None, momentum: float = 0.9, decay: float = 0.0):
        super().__init__(weights, clip, decay)
        self.momentum = momentum
        self.state = {"momentum": torch.zeros_like(weights)}

    def _direction(self, gradient: Tensor) -> Tensor:
        return self.state["momentum"].mul_(self.momentum).add_(gradient)


class AdamW(Optimizer):
    """Loshchilov & Hutter, 2019 (arXiv 1711.05101): decoupled weight decay. DiLoCo's inner optimizer."""

    def __init__(
        self,
        weights: Tensor,
        clip: float | None = None,
        beta1: float = 0.9,
        beta2: float = 0.95,
        decay: float = 0.1,
        epsilon: float = 1e-8,
    ):
        super().__init__(weights, clip, decay)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.state = {
            "mean": torch.zeros_like(weights),
            "square": torch.zeros_like(weights),
            "steps": torch.zeros((), dtype=torch.float64),
        }

    def step(
        self,
        weights: Tensor,
        gradient: Tensor,
        learning_rate: float,
        mixed: LinearCombination = (),
        out: Tensor | None = None,
    ) -> Tensor:
        if mixed:
            weights = combine_(weights if out is None else out, [*mixed, (1.0, weights)])
        elif out is not None and out is not weights:
            weights = out.copy_(weights)
        gradient = self._clipped(gradient).to(weights.dtype)
        mean = self.state["mean"].lerp_(gradient, 1 - self.beta1)
        square = self.state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        steps = int(self.state["steps"].add_(1))
        root = (square / (1 - self.beta2**steps)).sqrt_().add_(self.epsilon)
        weights.mul_(1 - learning_rate * self.decay)
        return weights.addcdiv_(mean, root, value=-learning_rate / (1 - self.beta1**steps))


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": Optimizer, "momentum": Momentum, "adamw": AdamW}


def chosen(wanted: str | None, momentum: float, clip: float | None) -> Callable[[Tensor], Optimizer]:
    """What makes a learner's optimizer: the one that its strategy is defined with (`wanted`), else plain SGD,
    or momentum if the configuration has it."""
    name = wanted or ("momentum" if momentum else "sgd")
    options = {"momentum": momentum} if name == "momentum" else {}
    return lambda weights: make(name, weights, clip=clip, **options)


def of(training: TrainingConfig, clip: float | None) -> Callable[[Tensor], Optimizer]:
    """What makes the configured optimizer, clipping at `clip`."""
    said, momentum = training.optimizer, float(training.momentum)
    options: dict[str, Any] = {"clip": clip}
    if said.weight_decay is not None:
        options["decay"] = said.weight_decay
    if said.kind == "adamw":
        options |= {"beta1": said.beta1, "beta2": said.beta2, "epsilon": said.epsilon}
        return lambda weights: AdamW(weights, **options)
    if momentum or said.kind == "momentum":
        return lambda weights: Momentum(weights, momentum=momentum or 0.9, **options)
    return lambda weights: Optimizer(weights, **options)


def make(name: str, weights: Tensor, **options: Any) -> Optimizer:
    """The optimizer of that name for flat `weights`. Raises UserError for an unknown name."""
    if name not in OPTIMIZERS:
        raise UserError(f"no optimizer '{name}'{nearest(name, OPTIMIZERS)}")
    return OPTIMIZERS[name](weights, **options)
