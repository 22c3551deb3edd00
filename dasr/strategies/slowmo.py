"""`slowmo`: slow momentum over any synchronous strategy. After every tau steps of the inner one, from x_old:

    x_avg = mean(w)
    u = beta u + (x_old - x_avg) / a
    w = x_old - alpha a u                     on every learner, the start of the next block

Wang et al. 2020 (arXiv 1910.00643). With beta 0, alpha 1: the inner one, averaged every tau steps.
"""

from __future__ import annotations

from typing import Any

import torch

from dasr.errors import UserError
from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import Mean
from dasr.strategies.parts.options import Positive


class SlowMo(Strategy):
    """Options that are not its own go to the inner strategy."""

    name = "slowmo"

    def __init__(
        self,
        learner: Learner,
        *,
        inner: str = "single",
        tau: Positive = 8,
        alpha: float = 1.0,
        beta: float = 0.6,
        compression: str = "fp32",
        **options: Any,
    ):
        """`inner`: single (local SGD), sd, sgp, ...; `compression`: of the averages and of the inner one."""
        from dasr.strategies import registry

        super().__init__(learner)
        if registry.find(inner).asynchronous:
            raise UserError(f"slowmo needs a synchronous inner strategy, and '{inner}' is asynchronous")
        if compression != "fp32" and "compression" in registry.options(inner):
            options["compression"] = compression
        self.inner = registry.make(inner, learner, **options)
        self.tau, self.alpha, self.beta = tau, alpha, beta
        self.mean = Mean(self.world, compression)
        self.old = learner.copy()
        self.u = torch.zeros_like(self.old)

    async def step(self) -> None:
        await self.inner.step()
        if self.learner.steps % self.tau == 0:
            await self.inner.finish()  # the weights are the inner strategy's model
            await self.slow_step(self.learner.learning_rate())

    async def slow_step(self, a: float) -> None:
        x, u = self.old, self.u
        moved = self.learner.weights - x
        await self.mean.average(moved)  # x_avg - x_old
        if a > 0:  # at the first step of a warm-up from 0 nothing has moved
            u.mul_(self.beta).sub_(moved, alpha=1 / a)  # beta u + (x_old - x_avg) / a
            x.sub_(u, alpha=self.alpha * a)  # x_old - alpha a u
        self.learner.assign(x)

    async def finish(self) -> None:
        await self.inner.finish()

    def state_dict(self) -> dict[str, Any]:
        mean, inner = self.mean.state_dict(), self.inner.state_dict()
        return {"old": self.old, "u": self.u, "mean": mean, "inner": inner}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.old.copy_(state["old"])
        self.u.copy_(state["u"])
        self.mean.load_state_dict(state["mean"])
        self.inner.load_state_dict(state["inner"])
