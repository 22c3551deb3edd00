"""`local`: local SGD. Each learner trains alone; models are averaged every tau steps.

    w_{k+1} = w_k - a g(w_k)                  and, when tau divides k + 1,
    W_{k+1} = (W_k - a_k G(W_k)) T_u

Povey et al. 2015 (arXiv 1410.7455), Kaldi's model averaging; Stich 2019 (arXiv 1805.09767).
"""

from __future__ import annotations

from typing import Any, ClassVar

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.means import ModelMean
from dasr.strategies.parts.options import Compression, Positive


class Local(Strategy):
    """Independent steps, and a mean of models every `tau` of them."""

    name = "local"
    sources: ClassVar = {
        "tau": "in the middle of the 2 to 16 of Lin et al. 2020",
    }

    def __init__(self, learner: Learner, *, tau: Positive = 8, compression: Compression = "fp32"):
        super().__init__(learner)
        self.tau = tau
        self.mean = ModelMean(learner, compression)

    async def step(self) -> None:
        if (self.learner.steps + 1) % self.tau:
            return await self.learner.step()  # w - a g(w)
        async for part, _ in self.mean.after_step():  # (W - a G(W)) T_u
            self.learner.assign(self.mean.vector, part)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean.load_state_dict(state["mean"])
