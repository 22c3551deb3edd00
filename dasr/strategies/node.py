"""The learners of one node as one super-learner.

g = (1/n) sum_l g_l         all-reduced in the node, so that its learners take the same steps
"""

from __future__ import annotations

from collections.abc import Awaitable, Generator
from typing import Any

import torch
from torch import Tensor

from dasr.strategies.gradient_mean import GradientMean, Participation
from dasr.strategies.strategy import Learner


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

    async def gradient(self, claimed: bool) -> bool:
        """The mean gradient of the node's learners that have a batch, on each of them; False when none has
        one. Who has computes while they agree on that."""
        counting, counted = self._adding_up(claimed), list[float]()

        async def share() -> float:
            if not counted:
                counted.append(float(await counting) / len(self.ranks))
            return counted[0]

        whole = False
        if not claimed or not self.mean.buckets.parts:
            if not await share():
                return False
            whole = not self.mean.buckets.parts and await share() < 1
        await self.mean.compute(Participation(claimed, whole, share))
        return True

    def _adding_up(self, value: float) -> Awaitable[Tensor]:
        number = torch.tensor([float(value)])
        if len(self.ranks) == 1:
            return Here(number)
        return self.world.all_reduce(number, self.ranks, "sum")

    async def among(self, members: tuple[int, ...]) -> Node:
        """The node without those that were lost, on its (new) first learner's weights."""
        node = Node(self.learner, members, self.bucket_mb)
        model = self.learner.copy().mul_(float(node.leads))
        await self.world.all_reduce(model, node.ranks, "sum")
        if not node.leads:
            self.learner.weights.copy_(model)
        return node
