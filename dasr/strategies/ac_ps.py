"""`ac-ps`: asynchronous SGD through a parameter server (ASGD, Downpour). Nobody waits for anybody.

    learner:  u = the local optimizer's step at w_{k-tau} (SGD: -a g(w_{k-tau})); push u, pull w
    server:   w_{k+1} = w_k + u                     tau: updates that others pushed between pull and push
              w_{k+1} = w_k + u / max(1, tau)       staleness-aware

Dean et al. 2012 (NeurIPS); staleness-aware: Zhang et al. 2016 (arXiv 1511.05950). The vector is cut into S
shards.
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
from dasr.strategies.parts.codecs import Encoded
from dasr.strategies.parts.gossip import PublicCopy
from dasr.strategies.parts.means import Feedback
from dasr.strategies.parts.options import Compression, Positive
from dasr.worlds.interface import Payload, PeerLost, World

PUSH, PULL = 1, 2  # tags of messages
WORK, LAST = 0, 1  # what a message to the server is: an update, or a last pull


class Shard:
    """A part of the model on its server, its clock, and what each learner knows of it."""

    def __init__(self, world: World, model: Tensor, views: list[PublicCopy], staleness_aware: bool):
        """`views`: one for each learner."""
        self.model, self.views, self.staleness_aware = model, views, staleness_aware
        self.clock = 0
        self.seen = [0] * world.size  # clock of each learner's last pull
        self.lock = world.lock()  # the server's activity and its host's own learner

    def serve(self, rank: int, update: Tensor | None) -> Encoded:
        """Apply an update of learner `rank`. The answer: its staleness, then the model."""
        with self.lock:
            staleness = self.clock - self.seen[rank]
            if update is not None:
                self.model.add_(update, alpha=1 / max(1, staleness) if self.staleness_aware else 1.0)
                self.clock += 1
            self.seen[rank] = self.clock
            model = (part.clone() for part in self.views[rank].send(self.model))
            return torch.tensor([staleness]), *model


class AsyncParameterServer(Strategy):
    """Ranks 0 to `servers` - 1 host a shard each, served by an activity beside their own learning."""

    name = "ac-ps"
    asynchronous = True
    sources: ClassVar = {
        "servers": "the classical single server",
        "staleness_aware": "Dean et al. 2012: not",
    }

    def __init__(
        self,
        learner: Learner,
        *,
        servers: Positive = 1,
        staleness_aware: bool = False,
        compression: Compression = "fp32",
    ):
        super().__init__(learner)
        rank, self.servers = self.world.rank, min(servers, self.world.size)
        edges = shard_edges(len(learner.gradient), self.servers)
        places = list(itertools.pairwise(edges))
        self.pushed = [Feedback(learner, compression, *place) for place in places]
        self.views = [PublicCopy(learner, compression, *place) for place in places]
        self.shard = None
        if rank < self.servers:
            views = [PublicCopy(learner, compression, *places[rank]) for _ in range(self.world.size)]
            model = learner.copy()[slice(*places[rank])].clone()
            self.shard = Shard(self.world, model, views, staleness_aware)

    async def run(self) -> None:
        learner, world = self.learner, self.world
        serving = world.spawn(self.serve(self.shard), "server") if self.shard else None
        while await learner.claim_batch():
            await learner.compute()
            before = learner.copy()
            learner.update()
            learner.record_staleness(await self.push_and_pull(learner.weights - before, WORK))
        await world.roll_call(True)  # from here on the model stands still
        await self.push_and_pull(torch.zeros_like(learner.weights), LAST)
        if serving is not None:
            await serving

    async def push_and_pull(self, update: Tensor, kind: int) -> int:
        """Give each server its part of `update` and take its model; the staleness at the first server."""
        world, replies = self.world, dict[int, Awaitable[Payload]]()
        answers: dict[int, Encoded] = {}
        for server, part in enumerate(update.tensor_split(self.servers)):
            if server == world.rank and self.shard is not None:
                await world.device_synchronize()  # or others' answers would wait for this learner's gradients
                answers[server] = self.shard.serve(world.rank, part if kind == WORK else None)
                continue
            pushed = self.pushed[server].encode(part)
            await world.send((torch.tensor([kind]), *pushed), server, PUSH)
            replies[server] = world.receive(server, PULL)
        for server, reply in replies.items():
            answers[server] = await reply
        for server, shard in enumerate(self.learner.weights.tensor_split(self.servers)):
            shard.copy_(self.views[server].receive(answers[server][1:], shard))
        return int(answers[0][0])

    async def serve(self, shard: Shard) -> None:
        """Answer the others until each has made its last pull, or is lost."""
        decoder = self.pushed[self.world.rank].codec
        others = set(range(self.world.size)) - {self.world.rank}
        while others:
            try:
                source, message = await self.world.receive_any(PUSH)
                kind, *update = message
                work = int(kind) == WORK
                decoded = decoder.decode(tuple(update), shard.model) if work else None
                await self.world.send(shard.serve(source, decoded), source, PULL)
                others -= set() if work else {source}
            except PeerLost as lost:
                others.discard(lost.rank)

    def state_dict(self) -> dict[str, Any]:
        shard = None
        if self.shard is not None:
            with self.shard.lock:
                shard = {"model": self.shard.model.clone(), "clock": self.shard.clock}
        return {"pushed": [one.state_dict() for one in self.pushed], "shard": shard}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Every learner starts from its own checkpoint's weights, and sees the server's at its first pull."""
        for one, kept in zip(self.pushed, state["pushed"], strict=True):
            one.load_state_dict(kept)
        if self.shard is not None and state["shard"] is not None:
            self.shard.model.copy_(state["shard"]["model"])
            self.shard.clock = int(state["shard"]["clock"])
            self.shard.seen = [self.shard.clock] * self.world.size
