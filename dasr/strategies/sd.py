"""`sd`: synchronous decentralised parallel SGD (D-PSGD). T_k averages each learner with its neighbours.

    W_{k+1} = W_k T_k - a_k G(W_k)            mix-then-update: mixing overlaps the gradient
    W_{k+1} = (W_k - a_k G(W_k)) T_k          update-then-mix

Lian et al. 2017 (arXiv 1705.09056).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

from torch import Tensor

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.linear_combination import LinearCombination
from dasr.strategies.parts.gossip import Gossip
from dasr.strategies.parts.options import Compression, MixingKind, Order
from dasr.strategies.parts.topology import Mixing


class SdPsgd(Strategy):
    """Weights are mixed with the neighbours' while the gradient is computed."""

    name = "sd"
    sources: ClassVar = {
        "mixing": "Lian et al. 2017",
        "order": "Lian et al. 2017, algorithm 1",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        mixing: MixingKind = "ring",
        order: Order = "mix-then-update",
        compression: Compression = "fp32",
        seed: int = 0,
    ):
        """`mixing`: ring, random-ring, random-pairs, uniform, exponential."""
        super().__init__(learner)
        self.order = order
        everyone = tuple(range(self.world.size))
        self.gossip = Gossip(learner, Mixing(mixing, everyone, seed), compression)

    async def step(self) -> None:
        learner, k = self.learner, self.learner.steps
        if self.order == "mix-then-update":
            mixing = self.mix(k, learner.weights)
            await learner.compute()
            learner.update(mixed=await mixing)
        else:
            await learner.step()
            learner.add(await self.mix(k, learner.weights))

    def mix(self, k: int, weights: Tensor) -> Awaitable[LinearCombination]:
        """Start the mixing of step k with `weights`: this learner's W T - W."""
        return self.gossip.difference(k, weights)

    def state_dict(self) -> dict[str, Any]:
        return self.gossip.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.gossip.load_state_dict(state)
