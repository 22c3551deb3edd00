"""`post-local`: gradients are averaged at every step until step s, then models every tau steps.

    W_{k+1} = (W_k - a_k G(W_k)) T_u          k < s, as `sc-allreduce`
    then as `local`

Lin et al. 2020 (arXiv 1808.07217).
"""

from __future__ import annotations

from typing import Any, ClassVar

from dasr.strategies.learner import Learner
from dasr.strategies.local import Local
from dasr.strategies.parts.gradient_mean import GradientMean
from dasr.strategies.parts.options import Compression, NonNegative, Whole


class PostLocal(Local):
    """Synchronous first, when averaging matters most; local after `switch` steps."""

    name = "post-local"
    sources: ClassVar = {
        "bucket_mb": "as of `sc-allreduce`",
        "switch": "the example of PyTorch's post_localSGD hook; Lin et al. 2020: the first drop of the rate",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        switch: Whole = 100,
        compression: Compression = "fp32",
        bucket_mb: NonNegative = 4.0,
        **options: Any,
    ):
        """`switch`: s; `bucket_mb`: as of `sc-allreduce`; the other options are those of `local`."""
        super().__init__(learner, compression=compression, **options)
        self.switch = switch
        self.gradients = GradientMean(learner, compression, bucket_mb=bucket_mb)

    async def step(self) -> None:
        if self.learner.steps >= self.switch:
            return await super().step()
        await self.gradients.compute()
        self.learner.update()
        if self.learner.steps == self.switch:
            self.mean.start_from(self.learner.weights)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"gradients": self.gradients.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.gradients.load_state_dict(state["gradients"])
