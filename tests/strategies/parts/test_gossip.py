"""One round of gossip against its mixing matrix, and compressed gossip's copies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dasr.strategies.parts.gossip import Gossip, PublicCopy
from dasr.strategies.parts.topology import Mixing
from dasr.worlds.interface import World
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.simulation import Simulation
from tests.support import mixing_oracles

SIZE, DIMENSION = 5, 12


def learner_of(weights: torch.Tensor, world: World | None = None) -> Any:
    """As much of a learner as gossip asks for."""
    return SimpleNamespace(gradient=weights, world=world, shapes=[(3, 4)])


def mixed(kind: str, round_: int, start: np.ndarray) -> np.ndarray:
    async def life(world: World) -> Any:
        weights = torch.tensor(start[world.rank])
        gossip = Gossip(learner_of(weights, world), Mixing(kind, tuple(range(SIZE)), 3))
        for coefficient, vector in await gossip.difference(round_, weights):
            weights = weights + coefficient * vector
        return weights.numpy()

    return np.stack(Simulation(presets.load("ideal"), SIZE).run(life))


@pytest.mark.parametrize("kind", ["ring", "random-ring", "uniform"])
@pytest.mark.parametrize("round_", [0, 1, 4])
def test_a_round_is_a_product_with_its_mixing_matrix(kind: str, round_: int) -> None:
    start = np.random.default_rng(round_).normal(size=(SIZE, DIMENSION))
    found = mixed(kind, round_, start)
    np.testing.assert_allclose(found, mixing_oracles.mixing(kind, SIZE, 3)(round_) @ start, atol=1e-12)
    np.testing.assert_allclose(found.mean(0), start.mean(0), atol=1e-12)


@pytest.mark.parametrize("spec", ["fp32", "bf16", "sign", "1bit", "topk:0.25", "powersgd:1"])
def test_both_ends_of_a_link_know_the_same_copy_after_every_message(spec: str) -> None:
    torch.manual_seed(0)
    learner = learner_of(torch.zeros(DIMENSION))
    sender, receiver = PublicCopy(learner, spec), PublicCopy(learner, spec)
    for _ in range(4):
        vector = torch.randn(DIMENSION)
        known = receiver.receive(sender.send(vector), vector)
        assert sender.known is not None and torch.equal(known, sender.known)


def test_a_copy_of_a_vector_that_stands_still_becomes_the_vector() -> None:
    torch.manual_seed(1)
    vector, copy = torch.randn(DIMENSION), PublicCopy(learner_of(torch.zeros(DIMENSION)), "topk:0.25")
    for _ in range(4):  # a quarter of the values a message
        copy.send(vector)
    assert copy.known is not None
    torch.testing.assert_close(copy.known, vector)
