"""`gossip-pga`: decentralised SGD with a global average every H steps.

    W_{k+1} = (W_k - a_k G(W_k)) T_k          T_k = T_u when H divides k + 1, else that of `sd`

Chen et al. 2021 (arXiv 2105.09080).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

from torch import Tensor

from dasr.strategies.learner import Learner
from dasr.strategies.linear_combination import LinearCombination
from dasr.strategies.parts.means import ModelMean
from dasr.strategies.parts.options import Compression, Order, Positive
from dasr.strategies.sd import SdPsgd


class GossipPga(SdPsgd):
    """`sd` with another mixing in every `period`-th step."""

    name = "gossip-pga"
    sources: ClassVar = {
        "period": "as of `local`; Chen et al. 2021: 6",
        "order": "Chen et al. 2021, algorithm 1",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        period: Positive = 8,
        order: Order = "update-then-mix",
        compression: Compression = "fp32",
        **options: Any,
    ):
        """`period`: H; the other options are those of `sd`."""
        super().__init__(learner, order=order, compression=compression, **options)
        self.period = period
        self.mean = ModelMean(learner, compression)

    def mix(self, k: int, weights: Tensor) -> Awaitable[LinearCombination]:
        if (k + 1) % self.period:
            return super().mix(k, weights)
        return self.mean.difference(weights)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.mean.load_state_dict(state["mean"])
