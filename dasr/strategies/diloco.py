"""`diloco`: many inner AdamW steps on each learner, then an outer Nesterov step on their mean movement.

    every H steps:   d = old - mean(w)
                     m = mu m + d
                     old = old - eta (d + mu m)
                     w = blend w + (1 - blend) old

The vector may be cut into fragments, each at its own step of the period, its mean on the way for `overlap`
more steps: see `streaming-diloco`. Douillard et al. 2023 (arXiv 2311.08105).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from typing import Any, ClassVar

import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import Mean
from dasr.strategies.parts.options import Compression, Fraction, NonNegative, Positive, Whole


class Diloco(Strategy):
    """One fragment, nothing overlapped."""

    name = "diloco"
    optimizer = "adamw"
    learning_rate = 4e-3  # trains the demo (docs/strategies.md); Douillard et al. 2023: 4e-4, transformers
    sources: ClassVar = {
        "period": "torchft's example; Douillard et al. 2023: 500",
        "outer_rate": "Douillard et al. 2023",
        "outer_momentum": "Douillard et al. 2023",
        "fragments": "`diloco` has one",
        "overlap": "`diloco` has none",
        "blend": "Douillard et al. 2023: the outer model",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        period: Positive = 20,
        outer_rate: NonNegative = 0.7,
        outer_momentum: Fraction = 0.9,
        fragments: Positive = 1,
        overlap: Whole = 0,
        blend: Fraction = 0.0,
        compression: Compression = "fp32",
    ):
        """`period`: H; `overlap`: steps that a reduction may take; `blend`: the local model's weight."""
        super().__init__(learner)
        if not 1 <= fragments <= period or not 0 <= overlap < period:
            raise UserError(f"{self.name}: fragments must be 1 to period ({period}), overlap 0 to period - 1")
        self.period, self.overlap, self.blend = period, overlap, blend
        self.rate, self.momentum = outer_rate, outer_momentum
        self.mean = Mean(learner, compression)
        self.old, self.m = learner.copy(), torch.zeros_like(learner.weights)
        edges = [len(self.old) * part // fragments for part in range(fragments + 1)]
        self.fragments = [slice(*pair) for pair in itertools.pairwise(edges)]
        # Step of the period at which each fragment departs
        self.due = [period - period * part // fragments for part in range(fragments)]
        self.in_flight: dict[int, tuple[Tensor, Awaitable[object]]] = {}  # fragment -> (d, its mean)
        self.before: dict[int, Tensor] = {}  # fragment -> this learner's own d, for a checkpoint

    async def step(self) -> None:
        await self.learner.step()
        for part, due in enumerate(self.due):
            since = self.learner.steps - due
            if since >= 0 and since % self.period == 0:
                self.depart(part, self.old[self.fragments[part]] - self.learner.weights[self.fragments[part]])
            if since >= self.overlap and (since - self.overlap) % self.period == 0:
                await self.arrive(part)

    def depart(self, part: int, d: Tensor) -> None:
        """Start the mean of `d` [size of the fragment], the movement of fragment `part`."""
        if self.overlap:
            self.before[part] = d.clone()
        self.in_flight[part] = d, self.mean.average(d, self.fragments[part].start)

    async def arrive(self, part: int) -> None:
        """Wait for the mean movement of fragment `part`, and take the outer step with it."""
        where = self.fragments[part]
        d, averaging = self.in_flight.pop(part)
        self.before.pop(part, None)
        await averaging
        m = self.m[where].mul_(self.momentum).add_(d)
        old = self.old[where].sub_(d, alpha=self.rate).sub_(m, alpha=self.rate * self.momentum)
        self.learner.weights[where].mul_(self.blend).add_(old, alpha=1 - self.blend)

    async def finish(self) -> None:
        """What is on the way arrives."""
        for part in sorted(self.in_flight):
            await self.arrive(part)

    def state_dict(self) -> dict[str, Any]:
        mean, before = self.mean.state_dict(), dict(self.before)
        return {"old": self.old, "m": self.m, "mean": mean, "before": before}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.old.copy_(state["old"])
        self.m.copy_(state["m"])
        self.mean.load_state_dict(state["mean"])
        for part, d in state["before"].items():
            self.depart(int(part), d.clone())
