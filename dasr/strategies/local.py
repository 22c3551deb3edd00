"""`local`: local SGD, models averaged every tau steps; `post-local`: all-reduce until step s, then local SGD.

    w_{k+1} = w_k - a g(w_k)                  and, when tau divides k + 1,
    W_{k+1} = (W_k - a_k G(W_k)) T_u

Lin et al. 2020 (arXiv 1808.07217); Kaldi's averaging: Povey et al. 2015 (arXiv 1410.7455).
"""

from __future__ import annotations

from typing import Any

from dasr.strategies.base import Learner, Strategy
from dasr.strategies.parts.gradient_mean import GradientMean
from dasr.strategies.parts.means import ModelMean


class Local(Strategy):
    """Everyone for itself, averaged every `tau` steps."""

    name = "local"

    def __init__(self, learner: Learner, *, tau: int = 8, compression: str = "fp32"):
        super().__init__(learner)
        self.tau = tau
        self.mean = ModelMean(learner, compression)

    async def step(self) -> None:
        learner = self.learner
        if (learner.steps + 1) % self.tau:
            await learner.compute()
            return learner.update()
        for part, coming in await self.mean.of_updated():
            await coming
            learner.assign(self.mean.vector, part)
            learner.prefetch_weights(part)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean.load_state_dict(state["mean"])


class PostLocal(Local):
    """Synchronous first, when averaging matters most; local after `switch` steps."""

    name = "post-local"

    def __init__(
        self,
        learner: Learner,
        *,
        switch: int = 100,
        tau: int = 8,
        compression: str = "fp32",
        bucket_mb: float = 4.0,
    ):
        super().__init__(learner, tau=tau, compression=compression)
        self.switch = switch
        self.gradients = GradientMean(learner, compression, bucket_mb=bucket_mb)

    async def step(self) -> None:
        if self.learner.steps >= self.switch:
            return await super().step()
        await self.gradients.compute()
        self.learner.update()
        if self.learner.steps == self.switch and self.mean.last is not None:
            self.mean.last.copy_(self.learner.weights)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"gradients": self.gradients.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.gradients.load_state_dict(state["gradients"])
