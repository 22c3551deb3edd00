"""The learners of one node as one learner.

    g = (1/n) sum_l g_l         all-reduced in the node, so that its learners take the same steps

A strategy may mix the weights of the node's first learner with other nodes': what it adds waits in `pending`
until all learners of the node add it, at the end of their step. The model that other nodes see is already
w + pending, so mixing waits for no step.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Sequence
from typing import Any

import torch
from torch import Tensor

from dasr.cuda.linear_combination import combine_
from dasr.strategies.internals import internals
from dasr.strategies.learner import BUCKET_MB, Learner, OnBucket, OnPart
from dasr.strategies.linear_combination import LinearCombination
from dasr.strategies.parts.awaitables import Completed
from dasr.strategies.parts.gradient_mean import Contribution, GradientMean
from dasr.strategies.parts.rounds import Rounds
from dasr.worlds.interface import ALL, PeerLost


class SuperLearner:
    """A Learner over one learner of each rank of a node, for asynchronous strategies. All ranks call its
    methods alike, but for snapshot_view() and add(), which are the first rank's.

    A lost learner of the node costs the step in which it is noticed."""

    def __init__(self, learner: Learner, bucket_mb: float):
        self.one = internals(learner)  # this rank's
        self.world, self.bucket_mb = learner.world, bucket_mb
        self._form(tuple(range(self.world.size)))
        self.pending, self.news = torch.zeros_like(learner.weights), False
        self.lock = self.world.lock()  # weights and pending are read and changed together
        self.rounds: Rounds | None = None  # tells which learners are left
        self.lost: set[int] = set()  # noticed, and still among `ranks`
        self.contribution = Contribution()  # to the current gradient
        self.began = 0.0  # the current step
        self.step_seconds = math.inf

    async def claim_batch(self) -> bool:
        """Take a batch of the budget for this rank; False when no learner of the node has got one."""
        while True:
            try:
                if self.lost:
                    await self._go_on_without_lost()
                present = await self.one.claim_batch()
                self.began = self.world.now()
                going = await self._agree(present)
                break
            except PeerLost as loss:
                self.lost.add(loss.rank)
        if not going:
            await self.settle()
        return going

    async def step(self, on_part: OnPart | None = None) -> None:
        """w + pending - a g, with the mean gradient of those that have a batch."""
        try:
            await self.compute()
            await self._add_pending()
            self.update()
        except PeerLost as loss:
            self.lost.add(loss.rank)

    async def compute(self, on_bucket: OnBucket | None = None, bucket_mb: float = BUCKET_MB) -> None:
        """The mean gradient of the node's learners that have a batch, on each of them."""
        await self.mean.compute(self.contribution)
        self.step_seconds = self.world.now() - self.began

    def snapshot_view(self) -> Tensor:
        """The node's model: what its learners hold, and what they have still to add."""
        with self.lock:
            return self.one.copy().add_(self.pending)

    def add(self, delta: LinearCombination, deferred: bool = True) -> None:
        """All learners of the node add this at the end of their step."""
        with self.lock:
            combine_(self.pending, [(1.0, self.pending), *delta])
            self.news = True

    async def settle(self) -> None:
        """All learners of the node add what is pending, after the last step."""
        with contextlib.suppress(PeerLost):
            await self._add_pending()

    async def resynchronise(self) -> None:
        """Called once, before the first step. After a restart the learners of a node may have resumed from
        different steps: all adopt the weights and the optimizer's state of the one with the most steps.
        `pending` is cleared on the others: the adopted weights go with the source's own.

        Where a learner is lost meanwhile, the others adopt the state of one of them at the next claim."""
        if len(self.ranks) == 1:
            return
        with contextlib.suppress(PeerLost):
            mine = torch.tensor([self.one.samples, self.one.steps])
            gathered = await self.world.all_gather((mine,), self.ranks)
            progress = [tuple(one.tolist()) for (one,) in gathered]
            source = self.ranks[progress.index(max(progress))]
            if max(progress) > (0, 0):
                await self._copy_state_from(source)
                self.pending.mul_(float(source == self.world.rank))

    def state_dict(self) -> dict[str, Any]:
        with self.lock:
            return {"pending": self.pending.clone(), "news": self.news}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.news = state["news"]
        self.pending.copy_(state["pending"])

    def _form(self, members: tuple[int, ...]) -> None:
        """The node consists of those members that are in it."""
        nodes = self.world.nodes
        self.ranks = tuple(rank for rank in members if nodes[rank] == nodes[self.world.rank])
        self.mean = GradientMean(self.one, "fp32", self.ranks, self.bucket_mb)

    async def _agree(self, present: bool) -> bool:
        """How many have a batch, and where in the learning rate's schedule they are. A learner that has one
        need not wait for the answer before it computes."""
        counting, counted = self._sum(present, self.one.samples if present else 0), list[float]()

        async def fraction() -> float:
            if not counted:
                batches, samples = (await counting).tolist()
                self.one.samples = int(samples / batches) if batches else self.one.samples
                counted.append(batches / len(self.ranks))
            return counted[0]

        single_bucket = False
        if not present or not self.mean.buckets:
            if not await fraction():
                return False
            single_bucket = not self.mean.buckets and await fraction() < 1
        self.contribution = Contribution(present, single_bucket, fraction)
        return True

    async def _add_pending(self) -> None:
        """All learners of the node add what its first one has been told to add since the last time."""
        if len(set(self.world.nodes)) == 1 or not int(await self._sum(self.news)):
            return
        with self.lock:
            correction, self.news = self.pending.clone(), False
        await self.world.all_reduce(correction, self.ranks, "sum")
        with self.lock:
            self.one.add([(1.0, correction)])
            if self.world.rank == self.ranks[0]:
                self.pending.sub_(correction)

    def _sum(self, *values: float) -> Awaitable[Tensor]:
        """Of a few numbers, over the learners of the node."""
        numbers = torch.tensor([*map(float, values)], dtype=torch.float64)
        if len(self.ranks) == 1:
            return Completed(numbers)
        return self.world.all_reduce(numbers, self.ranks, "sum")

    async def _go_on_without_lost(self) -> None:
        """The node without those that were lost, on its (new) first learner's weights."""
        assert self.rounds is not None
        self._form(await self.rounds.without(self.lost))
        await self._copy_state_from(self.ranks[0])
        self.lost.clear()

    async def _copy_state_from(self, source: int) -> None:
        """Weights and the optimizer's state become those of that learner."""
        model = await self._vector_of(source, self.one.copy())
        if source != self.world.rank:
            self.one.assign(model)
        for vector in self.one.optimizer_state():
            vector.copy_(await self._vector_of(source, vector.clone()))

    async def _vector_of(self, source: int, own: Tensor) -> Tensor:
        """That learner's vector, where this one has its own."""
        flat = (own if source == self.world.rank else torch.zeros_like(own)).reshape(-1)
        return (await self.world.all_reduce(flat, self.ranks, "sum")).view_as(own)

    # The rest of the protocol is that of this rank's learner: the learners of a node are equal.

    @property
    def shapes(self) -> Sequence[tuple[int, ...]]:
        return self.one.shapes

    @property
    def gradient(self) -> Tensor:
        return self.one.gradient

    @property
    def steps(self) -> int:
        return self.one.steps

    @property
    def weights(self) -> Tensor:
        return self.one.weights

    def copy(self) -> Tensor:
        return self.one.copy()

    def assign(self, model: Tensor, part: slice = ALL) -> None:
        self.one.assign(model, part)

    async def begin_step(self) -> bool:
        return await self.one.begin_step()

    def update(
        self, gradient: Tensor | None = None, staleness: int | None = None, mixed: LinearCombination = ()
    ) -> None:
        self.one.update(gradient, staleness, mixed)

    def record_staleness(self, staleness: int) -> None:
        self.one.record_staleness(staleness)

    def learning_rate(self) -> float:
        return self.one.learning_rate()
