"""The learners of one node as one super-learner.

g = (1/n) sum_l g_l         all-reduced in the node, so that its learners take the same steps
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Generator
from typing import Any

import torch
from torch import Tensor

from dasr.strategies.base import Learner
from dasr.strategies.parts.gradient_mean import GradientMean, Participation
from dasr.worlds.interface import PeerLost


class Here:
    """An awaitable of what is there already."""

    def __init__(self, value: Tensor):
        self.value = value

    def __await__(self) -> Generator[Any, Any, Tensor]:
        return self.value
        yield  # makes this a generator; never reached


class Node:
    """The learners of one node, of those that are left: they average gradients and hold the same weights."""

    def __init__(self, learner: Learner, members: tuple[int, ...], bucket_mb: float):
        self.learner, self.world, self.bucket_mb = learner, learner.world, bucket_mb
        nodes = self.world.nodes
        self.ranks = tuple(rank for rank in members if nodes[rank] == nodes[self.world.rank])
        self.leads = self.world.rank == self.ranks[0]
        self.mean = GradientMean(learner, "fp32", self.ranks, bucket_mb)

    async def total(self, value: float) -> int:
        """The sum of a small number over the node."""
        return int(await self._adding_up(value))

    async def agree(self, lacking: Tensor) -> None:
        """Before the first step. After a restart each is where it was saved, at its own moment (who heard
        first that all should stop may be hundreds of steps behind): all go on from what the one has that
        came farthest. `lacking`: what this learner's weights lack; those of others have it.

        Where one is lost meanwhile, those that are left will follow one of them: see among()."""
        if len(self.ranks) == 1:
            return
        with contextlib.suppress(PeerLost):
            mine = torch.tensor([self.learner.samples, self.learner.steps])
            told = [tuple(one.tolist()) for (one,) in await self.world.all_gather((mine,), self.ranks)]
            source = self.ranks[told.index(max(told))]
            if max(told) > (0, 0):
                await self._follow(source)
                lacking.mul_(float(source == self.world.rank))

    async def gradient(self, claimed: bool) -> bool:
        """The mean gradient of the node's learners that have a batch, on each of them; False when none has
        one. Who has computes while they agree on that, and on where in the learning rate's schedule they
        are."""
        learner, counted = self.learner, list[float]()
        counting = self._adding_up(claimed, learner.samples if claimed else 0)

        async def share() -> float:
            if not counted:
                batches, samples = (await counting).tolist()
                learner.samples = int(samples / batches) if batches else learner.samples
                counted.append(batches / len(self.ranks))
            return counted[0]

        whole = False
        if not claimed or not self.mean.buckets.parts:
            if not await share():
                return False
            whole = not self.mean.buckets.parts and await share() < 1
        await self.mean.compute(Participation(claimed, whole, share))
        return True

    def _adding_up(self, *values: float) -> Awaitable[Tensor]:
        numbers = torch.tensor([*map(float, values)], dtype=torch.float64)
        if len(self.ranks) == 1:
            return Here(numbers)
        return self.world.all_reduce(numbers, self.ranks, "sum")

    async def among(self, members: tuple[int, ...]) -> Node:
        """The node without those that were lost, on its (new) first learner's weights."""
        node = Node(self.learner, members, self.bucket_mb)
        await node._follow(node.ranks[0])
        return node

    async def _follow(self, source: int) -> None:
        """Weights and the optimizer's state become those of that learner."""
        model = await self._of(source, self.learner.copy())
        if source != self.world.rank:
            self.learner.become(model)
        for vector in self.learner.optimizer_state():
            vector.copy_(await self._of(source, vector.clone()))

    async def _of(self, source: int, own: Tensor) -> Tensor:
        """That learner's vector, where this one has its own."""
        flat = (own if source == self.world.rank else torch.zeros_like(own)).reshape(-1)
        return (await self.world.all_reduce(flat, self.ranks, "sum")).view_as(own)
