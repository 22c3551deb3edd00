"""`easgd`: elastic averaging SGD. Learners explore around a centre c that is pulled towards their mean.

    w_{k+1} = w_k - a g(w_k) - alpha (w_k - c_k)      alpha = beta / L
    c_{k+1} = (1 - beta) c_k + beta mean(w_k)         elastic terms only where tau divides k

Zhang, Choromanska & LeCun 2015 (arXiv 1412.6651), the synchronous version; the mean runs while the gradient
is computed. The model is the centre.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import Mean
from dasr.strategies.parts.options import Compression, Fraction, Positive


class Easgd(Strategy):
    """Every learner keeps the same copy of the centre, so it takes an all-reduce and no server."""

    name = "easgd"
    sources: ClassVar = {
        "tau": "of the 1, 4, 16, 64 of Zhang et al. 2015",
        "beta": "Zhang et al. 2015; alpha = beta / L follows from it",
    }

    def __init__(
        self, learner: Learner, *, tau: Positive = 4, beta: Fraction = 0.9, compression: Compression = "fp32"
    ):
        """`beta`: how far the centre goes to the learners' mean; with more of it they stay closer."""
        super().__init__(learner)
        self.tau, self.beta = tau, beta
        self.mean = Mean(learner, compression)
        self.centre = learner.copy()

    async def step(self) -> None:
        learner = self.learner
        if learner.steps % self.tau:
            return await learner.step()
        apart = learner.weights - self.centre
        pull = apart.clone()
        averaging = self.mean.average(apart)  # mean(w) - c
        await learner.compute()
        await averaging
        self.centre.add_(apart, alpha=self.beta)
        learner.update(mixed=[(-self.beta / self.world.size, pull)])

    async def finish(self) -> None:
        self.learner.weights.copy_(self.centre)

    def state_dict(self) -> dict[str, Any]:
        return {"centre": self.centre, "mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.centre.copy_(state["centre"])
        self.mean.load_state_dict(state["mean"])
