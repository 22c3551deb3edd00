"""`sd`: synchronous decentralised parallel SGD (D-PSGD); `gossip-pga`: with periodic global averages.

    W_{k+1} = W_k T_k - a_k G(W_k)            mix-then-update: mixing overlaps the gradient
    W_{k+1} = (W_k - a_k G(W_k)) T_k          update-then-mix
    gossip-pga: T_k = T_u when H divides k + 1

Lian et al. 2017 (arXiv 1705.09056); Chen et al. 2021 (arXiv 2105.09080).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from torch import Tensor

from dasr.errors import UserError, nearest
from dasr.strategies.base import Learner, LinearCombination, Strategy
from dasr.strategies.parts.gossip import Gossip
from dasr.strategies.parts.means import ModelMean
from dasr.strategies.parts.topology import Mixing

ORDERS = ("mix-then-update", "update-then-mix")


def check_order(order: str) -> str:
    if order not in ORDERS:
        raise UserError(f"no step order '{order}'{nearest(order, ORDERS)} (known: {', '.join(ORDERS)})")
    return order


class SdPsgd(Strategy):
    """Weights are mixed with the neighbours' while the gradient is computed."""

    name = "sd"

    def __init__(
        self,
        learner: Learner,
        *,
        mixing: str = "ring",
        pairs: bool = False,
        order: str = "mix-then-update",
        compression: str = "fp32",
        seed: int = 0,
    ):
        """`mixing`: ring, random-ring, random-pairs, uniform, exponential; `pairs`: one neighbour of two."""
        super().__init__(learner)
        self.order = check_order(order)
        everyone = tuple(range(self.world.size))
        self.gossip = Gossip(self.world, Mixing(mixing, everyone, pairs, seed), compression)

    async def step(self) -> None:
        learner, k = self.learner, self.learner.steps
        if self.order == "mix-then-update":
            difference = self.start(k, learner.weights)
            await learner.compute()
            learner.update(mixed=await difference)
        else:
            await learner.compute()
            learner.update()
            learner.add(await self.start(k, learner.weights))

    def start(self, k: int, weights: Tensor) -> Awaitable[LinearCombination]:
        """Start the mixing of step k with `weights`: this learner's W T - W."""
        return self.gossip.start(k, weights)

    def state_dict(self) -> dict[str, Any]:
        return self.gossip.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.gossip.load_state_dict(state)


class GossipPga(SdPsgd):
    """D-PSGD with a global average every `period` steps."""

    name = "gossip-pga"

    def __init__(
        self,
        learner: Learner,
        *,
        period: int = 8,
        mixing: str = "ring",
        pairs: bool = False,
        order: str = "update-then-mix",
        compression: str = "fp32",
        seed: int = 0,
    ):
        super().__init__(learner, mixing=mixing, pairs=pairs, order=order, compression=compression, seed=seed)
        self.period = period
        self.mean = ModelMean(learner, compression)

    def start(self, k: int, weights: Tensor) -> Awaitable[LinearCombination]:
        if (k + 1) % self.period:
            return super().start(k, weights)
        return self.mean.difference(weights)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.mean.load_state_dict(state["mean"])
