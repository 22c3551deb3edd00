"""`sgp`: stochastic gradient push on a directed graph. A learner keeps x, a push weight v, and z = x / v.

    x <- x - a g(z)                           the gradient at the de-biased model
    x_i <- sum_j P_ij x_j,   v_i <- sum_j P_ij v_j,   z_i = x_i / v_i

P is column-stochastic: each sends parts of what it has and needs nothing back. `exponential`: half to the
learner 2^k further; `complete`: equal parts to all. Assran et al. 2019 (arXiv 1811.10792).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.gossip import PublicCopy
from dasr.strategies.parts.means import Mean
from dasr.strategies.parts.options import Compression

Graph = Literal["exponential", "complete"]


class StochasticGradientPush(Strategy):
    """Push-sum; `learner.weights` hold z."""

    name = "sgp"
    sources: ClassVar = {
        "graph": "Assran et al. 2019",
    }

    def __init__(self, learner: Learner, *, graph: Graph = "exponential", compression: Compression = "fp32"):
        super().__init__(learner)
        self.graph, self.spec = graph, compression
        self.push = torch.ones_like(learner.weights[:1], dtype=torch.float64)  # v
        self.mean = Mean(learner, compression)
        # distance -> (of what was sent there, of what came from there)
        self.copies: dict[int, tuple[PublicCopy, PublicCopy]] = {}

    async def step(self) -> None:
        learner = self.learner
        await learner.compute()
        x = learner.weights * (self.push - 1).to(learner.weights)  # so that x + z' = v z - a g
        learner.update()
        x += learner.weights
        if self.graph == "complete":
            await self.to_everyone(x)
        elif self.world.size > 1:
            await self.to_one(x, self.learner.steps - 1)
        learner.weights.copy_(x / self.push)

    async def to_everyone(self, x: torch.Tensor) -> None:
        """Average x and v over all learners."""
        reductions = [self.mean.average(x), self.world.all_reduce(self.push)]
        for reduction in reductions:
            await reduction

    async def to_one(self, x: torch.Tensor, k: int) -> None:
        """Send half of x and v to the learner 2^k further, receive the same from as far back."""
        world = self.world
        distance = 1 << k % (world.size - 1).bit_length()
        to, source = (world.rank + distance) % world.size, (world.rank - distance) % world.size
        out, back = self.copies_of(distance)
        half = self.push / 2
        payload = (*out.send(x / 2), half)
        assert out.known is not None
        x.sub_(out.known)  # what is not sent is kept, so that nothing is lost
        sending = world.send(payload, to)
        *coded, weight = await world.receive(source)
        x.add_(back.receive(tuple(coded), x))
        self.push = self.push - half + weight
        await sending

    def copies_of(self, distance: int) -> tuple[PublicCopy, PublicCopy]:
        """Public copies of what goes to, and comes from, the learners that far away."""
        if distance not in self.copies:
            self.copies[distance] = PublicCopy(self.learner, self.spec), PublicCopy(self.learner, self.spec)
        return self.copies[distance]

    async def finish(self) -> None:
        """The exact average of all x, on everyone."""
        x = self.learner.weights * self.push.to(self.learner.weights)
        await self.world.all_reduce(x)
        self.learner.weights.copy_(x)
        self.push.fill_(1.0)

    def state_dict(self) -> dict[str, Any]:
        copies = {d: [copy.state_dict() for copy in pair] for d, pair in self.copies.items()}
        return {"push": self.push, "mean": self.mean.state_dict(), "copies": copies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.push = state["push"].clone()
        self.mean.load_state_dict(state["mean"])
        for distance, pair in state["copies"].items():
            for copy, kept in zip(self.copies_of(int(distance)), pair, strict=True):
                copy.load_state_dict(kept)
