"""`sc-allreduce`: synchronous centralised SGD, the baseline of distributed training.

    W_{k+1} = (W_k - a_k G(W_k)) T_u          T_u = 11'/L: all columns equal, so
    w_{k+1} = w_k - a_k (1/L) sum_l g_l(w_k)

The mean of the gradients is reduced bucket by bucket while the backward pass still makes the next ones.
Cui et al. 2020 (arXiv 2002.10502), "SC"; overlap as in Li et al. 2020 (arXiv 2006.15704).
"""

from __future__ import annotations

from typing import Any, ClassVar

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.gradient_mean import GradientMean
from dasr.strategies.parts.options import Compression, NonNegative


class ScAllReduce(Strategy):
    """Gradients are averaged over all learners at every step."""

    name = "sc-allreduce"
    averages_gradients = True
    sources: ClassVar = {
        "bucket_mb": "dasr, in whole layers; PyTorch's DDP: 25, on NCCL",
    }

    def __init__(self, learner: Learner, *, compression: Compression = "fp32", bucket_mb: NonNegative = 4.0):
        """`bucket_mb`: what is reduced at once, at least; less overlaps more and costs latency."""
        super().__init__(learner)
        self.mean = GradientMean(learner, compression, bucket_mb=bucket_mb)

    async def step(self) -> None:
        await self.mean.compute()
        self.learner.update()

    def state_dict(self) -> dict[str, Any]:
        return self.mean.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mean.load_state_dict(state)
