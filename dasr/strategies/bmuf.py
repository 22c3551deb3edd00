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
        self.model = learner.copy()  # W
        self.start = learner.copy() if nesterov else self.model  # W_g
        self.delta = torch.zeros_like(self.model)  # D
        self.moved = self.world.shared(self.model)  # G

    async def step(self) -> None:
        await self.learner.compute()
        self.learner.update()
        if self.learner.steps % self.tau == 0:
            await self.end_block()
            self.learner.weights.copy_(self.start)

    async def end_block(self) -> None:
        g = torch.sub(self.learner.weights, self.start, out=self.moved)
        await self.mean.start(g)
        torch.add(g if self.zeta == 1 else g * self.zeta, self.delta, alpha=self.eta, out=self.delta)
        self.model.add_(self.delta)
        if self.nesterov:
            torch.add(self.model, self.delta, alpha=self.eta, out=self.start)

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
