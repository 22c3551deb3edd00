"""Means over learners, and what error feedback keeps."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.linear_combination import v
from dasr.strategies.parts.means import Feedback, Mean, ModelMean
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.simulation import Simulation

LENGTH = 24


def on_each(size: int, life: Callable[[Learner], Coroutine[Any, Any, Tensor]]) -> list[Tensor]:
    async def main(world: World) -> Tensor:
        task = Quadratic(LENGTH, batch=size, rank=world.rank, size=size)
        return await life(Learner(world, task, Optimizer, lambda samples: 0.1, Budget(9, size, size)))

    return list(Simulation(Cluster(), size).run(main))


def own(rank: int) -> Tensor:
    return torch.randn(LENGTH, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize(("compression", "error"), [("fp32", 1e-12), ("bf16", 0.03)])
def test_a_vector_becomes_the_mean_of_everyones(size: int, compression: str, error: float) -> None:
    async def life(learner: Learner) -> Tensor:
        vector = own(learner.world.rank)
        mean = Mean(learner, compression)
        first, second = mean.average(vector[:10]), mean.average(vector[10:], 10)
        await second
        await first
        return vector

    expected = torch.stack([own(rank) for rank in range(size)]).mean(0)
    for found in on_each(size, life):
        torch.testing.assert_close(found, expected, rtol=0, atol=error)


def test_what_a_lossy_codec_did_not_send_is_added_to_the_next_value() -> None:
    async def life(learner: Learner) -> Tensor:
        feedback = Feedback(learner, "sign")
        total, sent = torch.zeros(LENGTH, dtype=torch.float64), torch.zeros(LENGTH, dtype=torch.float64)
        for turn in range(6):
            total += own(turn)
            sent += feedback.codec.decode(feedback.encode(own(turn)), total)
            assert feedback.residual is not None
            torch.testing.assert_close(sent + feedback.residual, total)
        return sent

    on_each(1, life)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("compression", ["fp32", "sign"])
def test_the_difference_to_the_mean_is_what_leads_there(size: int, compression: str) -> None:
    async def life(learner: Learner) -> Tensor:
        weights = learner.copy() + own(learner.world.rank)
        mean = ModelMean(learner, compression)
        difference = await mean.difference(weights)
        out = torch.empty_like(weights)
        (v(weights) + difference).into(out)
        return out

    found = on_each(size, life)
    for one in found:
        torch.testing.assert_close(one, found[0])  # all come to the same model
    if compression == "fp32":
        expected = Quadratic(LENGTH).initial() + torch.stack([own(rank) for rank in range(size)]).mean(0)
        torch.testing.assert_close(found[0], expected)
