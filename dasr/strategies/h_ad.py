"""`h-ad`: hierarchical AD-PSGD. The learners of a node form a super-learner; super-learners run AD-PSGD.

    in a node     g_s = (1/|s|) sum_{l in s} g_l      all-reduced, so a node's learners stay equal
    between them  W_{k+1} = W_k T_k - a_k G(Phi_k)    W, G: one column a node

The node's first learner mixes beside its gradient loop. What it mixed waits in `pending` until all learners
of the node add it, at the end of their step: the model that it shows to other nodes is already w + pending,
so no round waits. One node is `sc-allreduce`; one learner a node, `ad`. Zhang et al. 2019 (arXiv 1907.05701).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import torch

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.parts.gossip import Gossip
from dasr.strategies.parts.options import Positive
from dasr.strategies.parts.rounds import Rounds
from dasr.strategies.parts.super_learner import Node
from dasr.strategies.parts.topology import Mixing
from dasr.worlds.interface import PeerLost


def leaders(nodes: Sequence[int], members: tuple[int, ...]) -> tuple[int, ...]:
    """The first of the members on each node."""
    return tuple(sorted({nodes[rank]: rank for rank in reversed(members)}.values()))


class HAdPsgd(Strategy):
    """All-reduce in the node, asynchronous mixing between nodes."""

    name = "h-ad"
    asynchronous = True

    def __init__(
        self,
        learner: Learner,
        *,
        mixing: str = "ring",
        pace: float = 1.0,
        roll_call_every: Positive = 8,
        compression: str = "fp32",
        bucket_mb: float = 4.0,
        seed: int = 0,
    ):
        """`compression`: of what goes between nodes; inside a node gradients are not compressed."""
        super().__init__(learner)
        self.node = Node(learner, tuple(range(self.world.size)), bucket_mb)
        between = Mixing(mixing, (self.world.rank,), seed)  # each round is laid over the nodes
        self.gossip = Gossip(self.world, between, compression, tolerant=True)
        self.rounds = Rounds(self.world, pace, roll_call_every)
        self.pending, self.news = torch.zeros_like(learner.weights), False  # mixed, not yet added by the node
        self.lock = self.world.lock()  # weights and pending are read and changed together

    async def run(self) -> None:
        world, going, lost = self.world, True, set[int]()
        await self.node.resynchronise(self.pending)
        mixing = await self.rounds.begin(self.mix)
        while going:
            try:
                if lost:
                    self.node = await self.node.without_lost(await self.rounds.without(lost))
                    lost.clear()
                claimed, began = await self.learner.claim_batch(), world.now()
                if going := await self.node.gradient(claimed):
                    self.rounds.gradient_seconds = world.now() - began
                await self.add_pending()
                if going:
                    self.learner.update(staleness=None)
            except PeerLost as loss:
                lost.add(loss.rank)
        self.rounds.done = True
        await mixing
        with contextlib.suppress(PeerLost):
            await self.add_pending()

    async def add_pending(self) -> None:
        """All learners of the node add what its leader has mixed since the last time."""
        if len(set(self.world.nodes)) == 1 or not await self.node.sum(self.news):
            return
        with self.lock:
            taken, self.news = self.pending.clone(), False
        await self.world.all_reduce(taken, self.node.ranks, "sum")
        with self.lock:
            self.learner.add([(1.0, taken)])
            if self.node.leads:
                self.pending.sub_(taken)

    async def mix(self, round_: int, members: tuple[int, ...]) -> None:
        mixers = leaders(self.world.nodes, members)
        self.gossip.mixing = self.gossip.mixing.among(mixers)
        if self.world.rank not in mixers or len(mixers) == 1:
            return
        with self.lock:
            model = self.learner.copy().add_(self.pending)
        terms = await self.gossip.start(round_, model)
        with self.lock:
            self.learner.combine(self.pending, [(1.0, self.pending), *terms])
            self.news = True

    def state_dict(self) -> dict[str, Any]:
        with self.lock:
            return {"pending": self.pending.clone(), "news": self.news}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.news = state["news"]
        self.pending.copy_(state["pending"])
