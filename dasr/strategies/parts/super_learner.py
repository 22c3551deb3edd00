"""The learners of one node as one super-learner.

g = (1/n) sum_l g_l         all-reduced in the node, so that its learners take the same steps
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Generator
from typing import Any

import torch
from torch import Tensor

from dasr.strategies.learner import Learner
from dasr.strategies.parts.gradient_mean import Contribution, GradientMean
from dasr.worlds.interface import PeerLost


class Completed:
    """An awaitable of a value that is already known."""

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

    async def sum(self, value: float) -> int:
        """The sum of a small number over the learners of the node."""
        return int(await self._sum_of(value))

    async def resynchronise(self, pending: Tensor) -> None:
        """Called once, before the first step. After a restart the learners of a node may have resumed from
        different steps: all adopt the weights and the optimizer's state of the one with the most steps.
        `pending`, what its weights still lack, is cleared on the others: the adopted weights go with the
        source's own.

        Where a learner is lost meanwhile, the others adopt the state of one of them: see without_lost()."""
        if len(self.ranks) == 1:
            return
        with contextlib.suppress(PeerLost):
            mine = torch.tensor([self.learner.samples, self.learner.steps])
            progress = [tuple(one.tolist()) for (one,) in await self.world.all_gather((mine,), self.ranks)]
            source = self.ranks[progress.index(max(progress))]
            if max(progress) > (0, 0):
                await self._copy_state_from(source)
                pending.mul_(float(source == self.world.rank))

    async def gradient(self, claimed: bool) -> bool:
        """The mean gradient of the node's learners that have a batch, on each of them; False when none has
        one. Who has computes while they agree on that, and on where in the learning rate's schedule they
        are."""
        learner, counted = self.learner, list[float]()
        counting = self._sum_of(claimed, learner.samples if claimed else 0)

        async def fraction() -> float:
            if not counted:
                batches, samples = (await counting).tolist()
                learner.samples = int(samples / batches) if batches else learner.samples
                counted.append(batches / len(self.ranks))
            return counted[0]

        single_bucket = False
        if not claimed or not self.mean.buckets.parts:
            if not await fraction():
                return False
            single_bucket = not self.mean.buckets.parts and await fraction() < 1
        await self.mean.compute(Contribution(claimed, single_bucket, fraction))
        return True

    def _sum_of(self, *values: float) -> Awaitable[Tensor]:
        numbers = torch.tensor([*map(float, values)], dtype=torch.float64)
        if len(self.ranks) == 1:
            return Completed(numbers)
        return self.world.all_reduce(numbers, self.ranks, "sum")

    async def without_lost(self, members: tuple[int, ...]) -> Node:
        """The node of the members that are left; all take the weights of its (new) first learner."""
        node = Node(self.learner, members, self.bucket_mb)
        await node._copy_state_from(node.ranks[0])
        return node

    async def _copy_state_from(self, source: int) -> None:
        """Weights and the optimizer's state become those of that learner."""
        model = await self._of(source, self.learner.copy())
        if source != self.world.rank:
            self.learner.assign(model)
        for vector in self.learner.optimizer_state():
            vector.copy_(await self._of(source, vector.clone()))

    async def _of(self, source: int, own: Tensor) -> Tensor:
        """That learner's vector, where this one has its own."""
        flat = (own if source == self.world.rank else torch.zeros_like(own)).reshape(-1)
        return (await self.world.all_reduce(flat, self.ranks, "sum")).view_as(own)
