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
from torch import Tensor

from dasr.strategies.averaging import ModelMean
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
        self.mean = ModelMean(learner, compression)
        self.model = learner.copy()  # W
        self.start = learner.copy() if nesterov else self.model  # W_g
        self.delta = torch.zeros_like(self.model)  # D

    async def step(self) -> None:
        await self.learner.compute()
        self.learner.update()
        if self.learner.steps % self.tau == 0:
            await self.end_block(self.start)

    async def end_block(self, next_start: Tensor) -> None:
        weights = self.learner.weights
        async for part, mean in self.mean.in_parts(weights):
            delta, model, start = self.delta[part], self.model[part], self.start[part]
            moved = [(self.zeta * factor, vector) for factor, vector in [*mean, (-1.0, start)]]  # zeta G
            self.learner.combine(delta, [*moved, (self.eta, delta)])
            model.add_(delta)
            if self.nesterov:
                torch.add(model, delta, alpha=self.eta, out=start)
            weights[part].copy_(next_start[part])

    async def finish(self) -> None:
        """The model is W, not a look-ahead point; steps since the last block count as a block."""
        if self.learner.steps % self.tau:
            await self.end_block(self.model)
        self.learner.weights.copy_(self.model)

    def state_dict(self) -> dict[str, Any]:
        mean = self.mean.state_dict()
        return {"start": self.start, "model": self.model, "delta": self.delta, "mean": mean}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("start", "model", "delta"):
            getattr(self, name).copy_(state[name])
        self.mean.load_state_dict(state["mean"])
