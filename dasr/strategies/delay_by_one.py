"""`delay-by-one`: the average of all models runs while the gradient at the own model is computed.

    W_{k+1} = W_k T_u - a_k G(W_k)            each learner: w_{k+1} = mean(w_k) - a g(w_k)

The communication of a step is hidden behind its computation; the price is a gradient exactly one mixing old.
Zhang et al. 2020 (arXiv 2002.01119).
"""

from __future__ import annotations

from typing import Any

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import ModelMean
from dasr.strategies.parts.options import Compression


class DelayByOne(Strategy):
    """An all-reduce of weights, overlapped with the whole gradient."""

    name = "delay-by-one"

    def __init__(self, learner: Learner, *, compression: Compression = "fp32"):
        super().__init__(learner)
        self.mean = ModelMean(learner, compression)

    async def step(self) -> None:
        mixing = self.mean.difference(self.learner.weights)
        await self.learner.compute()
        self.learner.update(staleness=1, mixed=await mixing)

    def state_dict(self) -> dict[str, Any]:
        return self.mean.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean.load_state_dict(state)
