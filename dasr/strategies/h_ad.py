"""`h-ad`: hierarchical AD-PSGD. The learners of a node form a super-learner; super-learners run AD-PSGD.

    in a node     g_s = (1/|s|) sum_{l in s} g_l      all-reduced, so a node's learners stay equal
    between them  W_{k+1} = W_k T_k - a_k G(W_k)      W, G: one column a node; `ad`

With one node that is `sc-allreduce`; with one learner a node, `ad`. Zhang et al. 2019 (arXiv 1907.05701).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from dasr.strategies.ad import AdPsgd
from dasr.strategies.learner import Learner
from dasr.strategies.parts.options import Compression, MixingKind, NonNegative, Pace, RollCalls
from dasr.strategies.parts.super_learner import SuperLearner
from dasr.strategies.parts.topology import Members


def leaders(nodes: Sequence[int], ranks: tuple[int, ...]) -> tuple[int, ...]:
    """The first of the ranks on each node."""
    return tuple(sorted({nodes[rank]: rank for rank in reversed(ranks)}.values()))


class HAdPsgd(AdPsgd):
    """`ad` over super-learners, mixed by the first learner of each node."""

    name = "h-ad"
    replaceable = False
    sources: ClassVar = {
        "mixing": "as of `ad`",
        "pace": "as of `ad`",
        "roll_call_every": "as of `ad`",
        "bucket_mb": "as of `sc-allreduce`",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        mixing: MixingKind = "ring",
        pace: Pace = 1.0,
        roll_call_every: RollCalls = 8,
        compression: Compression = "fp32",
        bucket_mb: NonNegative = 4.0,
        seed: int = 0,
    ):
        """`compression`: of what goes between nodes; inside a node gradients are not compressed."""
        self.node = SuperLearner(learner, bucket_mb)
        super().__init__(
            self.node,
            mixing=mixing,
            pace=pace,
            roll_call_every=roll_call_every,
            compression=compression,
            seed=seed,
        )
        self.node.rounds = self.rounds

    async def run(self) -> None:
        await self.node.resynchronise()
        await super().run()
        await self.node.settle()

    async def mix(self, round_: int, members: Members) -> None:
        first = leaders(self.world.nodes, members.ranks)
        if self.world.rank in first and len(first) > 1:
            await super().mix(round_, Members(first))

    def state_dict(self) -> dict[str, Any]:
        return self.node.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.node.load_state_dict(state)
