"""`sc-ps`: synchronous SGD through a parameter server.

    learner:  send g_l(w_k), receive g                      g = (1/L) sum_l g_l(w_k)
    server:   receive all g_l, in the order of ranks, send g to each
    everyone: w_{k+1} = w_k - a g

The same model as `sc-allreduce`, since what a server sends back fixes it; but all bytes pass through the
servers' links. With S servers the vector is cut into S shards. Li et al. 2014 (OSDI).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from typing import Any, ClassVar

import torch
from torch import Tensor

from dasr.strategies.base import Strategy
from dasr.strategies.learner import Learner
from dasr.strategies.matrices import shard_edges
from dasr.strategies.parts.means import Feedback
from dasr.strategies.parts.options import Compression, Positive

PUSH, PULL = 1, 2  # tags of messages


class SyncParameterServer(Strategy):
    """Ranks 0 to `servers` - 1 host a shard each, beside their own learning."""

    name = "sc-ps"
    averages_gradients = True
    sources: ClassVar = {
        "servers": "the classical single server",
    }

    def __init__(self, learner: Learner, *, servers: Positive = 1, compression: Compression = "fp32"):
        super().__init__(learner)
        self.servers = min(servers, self.world.size)
        edges = shard_edges(len(learner.gradient), self.servers)
        self.pushed = [Feedback(learner, compression, *pair) for pair in itertools.pairwise(edges)]
        hosted = min(self.world.rank, self.servers - 1)
        self.pulled = Feedback(learner, compression, *edges[hosted : hosted + 2])  # of the shard hosted here
        self.others = [rank for rank in range(self.world.size) if rank != self.world.rank]

    async def step(self) -> None:
        learner, world = self.learner, self.world
        await learner.compute()
        shards = learner.gradient.tensor_split(self.servers)
        payloads = [pushed.encode(shard) for pushed, shard in zip(self.pushed, shards, strict=True)]
        remote = [server for server in range(self.servers) if server != world.rank]
        sending: list[Awaitable[None]] = [world.send(payloads[server], server, PUSH) for server in remote]
        replies = [world.receive(server, PULL) for server in remote]
        if world.rank < self.servers:
            sending += await self.serve(shards[world.rank], payloads[world.rank])
        for server, reply in zip(remote, replies, strict=True):
            shards[server].copy_(self.pushed[server].codec.decode(await reply, shards[server]))
        for sent in sending:
            await sent
        learner.update()

    async def serve(self, shard: Tensor, own: tuple[Tensor, ...]) -> list[Awaitable[None]]:
        """Average everyone's gradients of the shard hosted here into `shard`; send the others the mean."""
        world = self.world
        arriving = {rank: world.receive(rank, PUSH) for rank in self.others}
        total = torch.zeros_like(shard)
        for rank in range(world.size):
            total += self.pulled.codec.decode(await arriving[rank] if rank in arriving else own, shard)
        mean = self.pulled.encode(total / world.size)
        shard.copy_(self.pulled.codec.decode(mean, shard))
        return [world.send(mean, rank, PULL) for rank in self.others]

    def state_dict(self) -> dict[str, Any]:
        return {"pushed": [one.state_dict() for one in self.pushed], "pulled": self.pulled.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for one, kept in zip(self.pushed, state["pushed"], strict=True):
            one.load_state_dict(kept)
        self.pulled.load_state_dict(state["pulled"])
