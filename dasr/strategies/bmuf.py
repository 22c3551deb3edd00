"""`bmuf`: blockwise model-update filtering. After every block of tau local steps from the common start W_g:

    G = mean(w) - W_g
    D = eta D + zeta G
    W = W + D
    W_g = W (classical)   or   W_g = W + eta D (Nesterov), the start of the next block

Chen & Huo, ICASSP 2016. Default: eta = 1 - 1/L, zeta = 1. Kept are W and the one before it, V: D = W - V and

    W <- zeta mean(w) + (1 + eta) W - eta V - zeta W_g,    V <- W

is one pass over memory, and W itself is what the next block begins with.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from torch import Tensor

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import ModelMean
from dasr.strategies.parts.options import Positive


class Bmuf(Strategy):
    """Model averaging with momentum on the level of blocks."""

    name = "bmuf"

    def __init__(
        self,
        learner: Learner,
        *,
        tau: Positive = 8,
        eta: float | None = None,
        zeta: float = 1.0,
        nesterov: bool = False,
        compression: str = "fp32",
    ):
        """`eta`: block momentum (None: 1 - 1/L); `zeta`: block learning rate."""
        super().__init__(learner)
        self.tau, self.zeta, self.nesterov = tau, zeta, nesterov
        self.eta = 1 - 1 / self.world.size if eta is None else eta
        self.mean = ModelMean(learner, compression)
        self.model, self.before = learner.copy(), learner.copy()  # W, V

    async def step(self) -> None:
        learner = self.learner
        if (learner.steps + 1) % self.tau:
            await learner.compute()
            return learner.update()
        await self.end_block(await self.mean.of_updated(), self.nesterov)

    async def end_block(self, means: list[tuple[slice, Awaitable[Tensor]]], look_ahead: bool) -> None:
        """The weights become W, or W + eta D."""
        learner, eta, zeta = self.learner, self.eta, self.zeta
        own = (1 - zeta) * (1 + eta) if self.nesterov else 1 + eta - zeta
        past = (1 - zeta) * -eta if self.nesterov else -eta
        model, new = self.model, self.before
        for part, coming in means:
            mean = await coming
            learner.combine(new[part], [(zeta, mean), (own, model[part]), (past, new[part])])
            if look_ahead:
                learner.combine(learner.weights[part], [(1 + eta, new[part]), (-eta, model[part])])
            else:
                learner.assign(new, part)
            learner.prefetch_weights(part)
        self.model, self.before = new, model

    async def finish(self) -> None:
        """The model is W, not a look-ahead point; steps since the last block count as a block."""
        if self.learner.steps % self.tau:
            await self.end_block(self.mean.in_parts(self.learner.weights), False)
        self.learner.assign(self.model)

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model, "before": self.before, "mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.copy_(state["model"])
        self.before.copy_(state["before"])
        self.mean.load_state_dict(state["mean"])
