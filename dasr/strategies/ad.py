"""`ad`: asynchronous decentralised parallel SGD (AD-PSGD).

    W_{k+1} = W_k T_k - a_k G(Phi_k)

One activity mixes all the time, another computes gradients all the time: Phi_k holds the weights when each
gradient began, T_k is what was mixed since. Nobody waits for a slow learner, and no update is overwritten.
Lian et al. 2018 (arXiv 1710.06952); for acoustic models Zhang et al. 2019 (arXiv 1904.04956).
"""

from __future__ import annotations

from typing import ClassVar

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.gossip import Gossip
from dasr.strategies.parts.options import Compression, MixingKind, Order, Pace, RollCalls
from dasr.strategies.parts.rounds import Rounds
from dasr.strategies.parts.topology import Members, Mixing


class AdPsgd(Strategy):
    """A gradient loop beside a mixing loop."""

    name = "ad"
    asynchronous = True
    replaceable = True
    sources: ClassVar = {
        "mixing": "Zhang et al. 2019 (1904.04956); Lian et al. 2018: `random-pairs`",
        "order": "Lian et al. 2018, algorithm 1",
        "pace": "dasr: as many rounds as gradients",
        "roll_call_every": "dasr",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        mixing: MixingKind = "ring",
        order: Order = "mix-then-update",
        pace: Pace = 1.0,
        roll_call_every: RollCalls = 8,
        compression: Compression = "fp32",
        seed: int = 0,
    ):
        """`pace`: gradients of the fastest learner that a mixing round takes at least.

        `order`: with update-then-mix a gradient begins only when the last update has been mixed."""
        super().__init__(learner)
        self.order = order
        everyone = tuple(range(self.world.size))
        self.gossip = Gossip(learner, Mixing(mixing, everyone, seed), compression, tolerant=True)
        self.rounds = Rounds(learner, pace, roll_call_every)

    async def run(self) -> None:
        async with self.rounds.beside(self.mix):
            while await self.learner.claim_batch():
                await self.learner.step()  # - a G(Phi)
                if self.order == "update-then-mix":
                    await self.rounds.next_end()

    async def mix(self, round_: int, members: Members) -> None:
        weights = self.learner.snapshot_view()
        self.learner.add(await self.gossip.difference(round_, weights, members), deferred=True)  # W T - W
