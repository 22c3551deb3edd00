"""`bmuf`: blockwise model-update filtering. After every block of tau local steps from the common start W_g:

    D = eta D + zeta (mean(w) - W_g)
    W = W + D
    W_g = W (classical)   or   W_g = W + eta D (Nesterov), the start of the next block

Chen & Huo, ICASSP 2016. Default: eta = 1 - 1/L, zeta = 1. In place of D the last W, V, is kept: D = W - V.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from torch import Tensor

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.linear_combination import v
from dasr.strategies.parts.means import ModelMean
from dasr.strategies.parts.options import Compression, Fraction, NonNegative, Positive


class Bmuf(Strategy):
    """Model averaging with momentum on the level of blocks."""

    name = "bmuf"
    sources: ClassVar = {
        "tau": "as of `local`; fairseq: 50",
        "eta": "1 - 1/L: Chen & Huo 2016",
        "zeta": "Chen & Huo 2016",
        "nesterov": "fairseq; CNTK: true",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        tau: Positive = 8,
        eta: Fraction | None = None,
        zeta: NonNegative = 1.0,
        nesterov: bool = False,
        compression: Compression = "fp32",
    ):
        """`eta`: block momentum (None: 1 - 1/L); `zeta`: block learning rate."""
        super().__init__(learner)
        self.tau, self.zeta, self.nesterov = tau, zeta, nesterov
        self.eta = 1 - 1 / self.world.size if eta is None else eta
        self.mean = ModelMean(learner, compression)
        self.model, self.before = learner.copy(), learner.copy()  # W, V

    async def step(self) -> None:
        if (self.learner.steps + 1) % self.tau:
            return await self.learner.step()
        await self.end_block(self.mean.after_step(), self.nesterov)

    async def end_block(self, means: AsyncIterator[tuple[slice, Tensor]], look_ahead: bool) -> None:
        """The weights become W, or W + eta D."""
        model, new = self.model, self.before  # W, and the place of the next W, which holds V until then
        w = v(model)
        d = w - v(new)
        ahead = w + self.eta * d
        rest = (1 - self.zeta) * ahead if self.nesterov else ahead - self.zeta * w  # W + eta D - zeta W_g
        update = self.zeta * v(self.mean.vector) + rest  # W + D, of the next D
        async for part, _ in means:
            update.into(new, part)
            if look_ahead:  # W + eta D, of the next W and D
                start = v(new) + self.eta * (v(new) - w)
                start.into(self.learner.weights, part)
            else:
                self.learner.assign(new, part)
        self.model, self.before = new, model

    async def finish(self) -> None:
        """The model is W, not a look-ahead point; steps since the last block count as a block."""
        if self.learner.steps % self.tau:
            await self.end_block(self.mean.of_weights(), False)
        self.learner.assign(self.model)

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model, "before": self.before, "mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.copy_(state["model"])
        self.before.copy_(state["before"])
        self.mean.load_state_dict(state["mean"])
