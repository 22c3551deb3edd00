"""`slowmo`: slow momentum over any synchronous strategy. After every tau steps of the inner one, from x_old:

    x_avg = mean(w)
    u = beta u + (x_old - x_avg) / a
    w = x_old - alpha a u                     on every learner, the start of the next block

Wang et al. 2020 (arXiv 1910.00643). With beta 0, alpha 1: the inner one, averaged every tau steps.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from dasr.errors import UserError, nearest
from dasr.strategies.base import Strategy
from dasr.strategies.declared import INNER
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import Mean
from dasr.strategies.parts.options import Compression, Fraction, NonNegative, Positive, StrategyName


class SlowMo(Strategy):
    """Options that are not its own go to the inner strategy, and so do `tau` and `compression`, unless
    `inner_tau` and `inner_compression` say otherwise; `inner_beta` is the inner strategy's `beta`."""

    name = "slowmo"
    sources: ClassVar = {
        "inner": "Wang et al. 2020: local SGD, averaged by the slow momentum alone",
        "tau": "as of `local`; Wang et al. 2020: 12 and 48",
        "alpha": "Wang et al. 2020",
        "beta": "0 up to 2 learners, 0.2 up to 4, 0.5 up to 8, else 0.6: fairseq, for nodes of 8 GPUs",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        inner: StrategyName = "single",
        tau: Positive = 8,
        alpha: NonNegative = 1.0,
        beta: Fraction | None = None,
        compression: Compression = "fp32",
        **options: Any,
    ):
        """`inner`: single (local SGD), sd, sgp, ...; `beta`: None: by the number of learners."""
        from dasr.strategies import registry

        super().__init__(learner)
        if registry.find(inner).asynchronous:
            raise UserError(f"slowmo needs a synchronous inner strategy, and '{inner}' is asynchronous")
        shared = {"tau": tau, "compression": compression}
        common = {key: value for key, value in shared.items() if key in registry.options(inner)}
        self.inner = registry.make(inner, learner, **(common | _inner_options(inner, options)))
        self.tau, self.alpha = tau, alpha
        self.beta = _momentum_for(self.world.size) if beta is None else beta
        self.mean = Mean(learner, compression)
        self.old = learner.copy()
        self.u = torch.zeros_like(self.old)

    async def step(self) -> None:
        await self.inner.step()
        if self.learner.steps % self.tau == 0:
            await self.inner.finish()  # the weights are the inner strategy's model
            await self.slow_step(self.learner.learning_rate())

    async def slow_step(self, a: float) -> None:
        """The slow momentum step from x_old, at the learning rate `a`."""
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


def _momentum_for(learners: int) -> float:
    return next((beta for most, beta in ((2, 0.0), (4, 0.2), (8, 0.5)) if learners <= most), 0.6)


def _inner_options(inner: str, given: dict[str, Any]) -> dict[str, Any]:
    """Options by the names that the inner strategy gives them. Raises UserError for one that it has not."""
    from dasr.strategies import registry

    own, known = registry.options(SlowMo.name), registry.options(inner)
    for key in given:
        if key.removeprefix(INNER) not in known:
            names = [name if name not in own else INNER + name for name in known]
            near = nearest(key, [*own, *names])
            listed = f"of '{inner}': {', '.join(names) or 'none'}"
            raise UserError(f"slowmo over '{inner}' has no option '{key}'{near} ({listed})")
    return {key.removeprefix(INNER): value for key, value in given.items()}
