"""The learners of one node as one super-learner.

g = (1/n) sum_l g_l         all-reduced in the node, so that its learners take the same steps
"""

from __future__ import annotations

import torch

from dasr.strategies.averaging import GradientMean
from dasr.strategies.strategy import Learner


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
        if len(self.ranks) == 1:
            return int(value)
        return int(await self.world.all_reduce(torch.tensor([float(value)]), self.ranks, "sum"))

    async def gradient(self, claimed: bool) -> bool:
        """The node's mean gradient, on each of its learners; False when no batch is left."""
        learner, count = self.learner, await self.total(claimed)
        if count == len(self.ranks):
            await self.mean.compute()
        elif count:  # the last batches, fewer than learners
            learner.gradient.zero_()
            if claimed:
                await learner.compute()
            await self.world.all_reduce(learner.gradient.mul_(len(self.ranks) / count), self.ranks)
        return count > 0

    async def among(self, members: tuple[int, ...]) -> Node:
        """The node without those that were lost, on its (new) first learner's weights."""
        node = Node(self.learner, members, self.bucket_mb)
        model = self.learner.copy().mul_(float(node.leads))
        await self.world.all_reduce(model, node.ranks, "sum")
        if not node.leads:
            self.learner.weights.copy_(model)
        return node
