"""`bmuf`: blockwise model-update filtering. After every block of tau local steps from the common start W_g:

    G = mean(w) - W_g
    D = eta D + zeta G
    W = W + D
    W_g = W (classical)   or   W_g = W + eta D (Nesterov), the start of the next block

Chen & Huo, ICASSP 2016. Default: eta = 1 - 1/L, zeta = 1.
"""

from __future__ import annotations

from typing import Any

import torch

from dasr.strategies.averaging import Mean
from dasr.strategies.strategy import Learner, Strategy


class Bmuf(Strategy):
    """Model averaging with momentum on the level of blocks."""

    name = "bmuf"

    def __init__(
        self,
        learner: Learner,
        *,
        tau: int = 8,
        eta: float | None = None,
        zeta: float = 1.0,
        nesterov: bool = False,
        compression: str = "fp32",
    ):
        """`eta`: block momentum (None: 1 - 1/L); `zeta`: block learning rate."""
        super().__init__(learner)
        self.tau, self.zeta, self.nesterov = tau, zeta, nesterov
        self.eta = 1 - 1 / self.world.size if eta is None else eta
        self.mean = Mean(self.world, compression)
        self.start = learner.copy()  # W_g
        self.model = learner.copy()  # W
        self.delta = torch.zeros_like(self.model)  # D

    async def step(self) -> None:
        await self.learner.compute()
        self.learner.update()
        if self.learner.steps % self.tau == 0:
            await self.end_block()
            self.learner.weights.copy_(self.start)

    async def end_block(self) -> None:
        g = self.learner.weights - self.start
        await self.mean.start(g)
        self.delta.mul_(self.eta).add_(g, alpha=self.zeta)
        self.model.add_(self.delta)
        self.start.copy_(self.model)
        if self.nesterov:
            self.start.add_(self.delta, alpha=self.eta)

    async def finish(self) -> None:
        """The model is W, not a look-ahead point; steps since the last block count as a block."""
        if self.learner.steps % self.tau:
            await self.end_block()
        self.learner.weights.copy_(self.model)

    def state_dict(self) -> dict[str, Any]:
        mean = self.mean.state_dict()
        return {"start": self.start, "model": self.model, "delta": self.delta, "mean": mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("start", "model", "delta"):
            getattr(self, name).copy_(state[name])
        self.mean.load_state_dict(state["mean"])
