"""Strategies against other people's implementations: the same weights on every learner, before every step.

Each array of references/*.npz holds float64 [25, 4, 36]: before step, learner, weight (the last row: after
step 23). They were recorded in November 2026 from the code that `CASES` names, run by four processes over
gloo on the problem of `Toy`. They are numbers only; none of that code is here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import AdamW, Momentum, Optimizer
from dasr.strategies import registry
from dasr.worlds.interface import Ready, World
from dasr.worlds.simulated.simulation import Simulation
from tests.support.recursion_trial import SECOND

FOLDER = Path(__file__).parent / "references"
LEARNERS, STEPS, DIMENSION, RATE = 4, 24, 36, 0.05
Vector = NDArray[np.float64]


class Toy:
    """A gradient that depends on step and learner: slope * w + offset + sin(w)."""

    num_parameters = DIMENSION
    shapes: ClassVar = [(6, 6)]

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.seen: list[Vector] = []  # weights before each step

    def initial(self) -> torch.Tensor:
        return torch.from_numpy(np.random.default_rng(4242).normal(size=DIMENSION))

    def gradient(self, weights: torch.Tensor, gradient: torch.Tensor, ready: Ready) -> float:
        w = weights.numpy().copy()
        draw = np.random.default_rng([77, len(self.seen), self.rank])
        slope, offset = draw.uniform(0.2, 2.0, DIMENSION), draw.normal(size=DIMENSION) * 1.5
        self.seen.append(w)
        gradient.copy_(torch.from_numpy(slope * w + offset + np.sin(w)))
        ready(gradient)
        return 0.0

    def describe_batch(self) -> str:
        return f"step {len(self.seen)}"

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def weights_of(
    strategy: str, options: dict[str, Any], optimizer: Callable[[torch.Tensor], Optimizer]
) -> Vector:
    """float64 [25, 4, 36], as the references hold them."""
    simulation = Simulation(SECOND, LEARNERS)
    tasks = [Toy(world.rank) for world in simulation.worlds]
    learners: list[Learner] = []
    strategies = []
    for world, task in zip(simulation.worlds, tasks, strict=True):
        budget = Budget(STEPS, LEARNERS, LEARNERS)
        learners.append(Learner(world, task, optimizer, lambda samples: RATE, budget))
        strategies.append(registry.make(strategy, learners[-1], **options))
        if "powersgd" in options.get("compression", ""):
            begin_with_their_query(strategies[-1])

    async def life(world: World) -> None:
        await strategies[world.rank].run()

    simulation.run(life)
    before = np.stack([task.seen for task in tasks], axis=1)
    last = np.stack([learner.weights.numpy() for learner in learners])
    return np.concatenate([before, last[None]])


def begin_with_their_query(strategy: Any) -> None:
    """The random Q with which the other code began, float64 [6, 2]."""
    power = strategy.mean._feedback_of(0, DIMENSION).codec
    power.q = [torch.from_numpy(np.load(FOLDER / "paper_reducers.npz")["rankk_q0"])]


TWO = {"period": 8, "fragments": 2, "overlap": 0, "blend": 0.0}
THREE = {"period": 12, "fragments": 3, "overlap": 0, "blend": 0.3}
ADAMW = functools.partial(AdamW, beta1=0.9, beta2=0.95, decay=0.1)
HEAVY_BALL = functools.partial(Momentum, momentum=0.9)
# (file, array, strategy, options, optimizer)
CASES: list[tuple[str, str, str, dict[str, Any], Callable[[torch.Tensor], Optimizer]]] = [
    ("fairseq_bmuf", "classical", "bmuf", {"tau": 4}, Optimizer),
    ("fairseq_bmuf", "classical_lr", "bmuf", {"tau": 4, "eta": 0.5, "zeta": 0.8}, Optimizer),
    ("fairseq_bmuf", "classical_momentum", "bmuf", {"tau": 4}, HEAVY_BALL),
    ("torchft", "one_sgd", "diloco", {"period": 6}, Optimizer),
    ("torchft", "one_adamw", "diloco", {"period": 6}, ADAMW),
    ("torchft", "two_sgd", "streaming-diloco", TWO, Optimizer),
    ("torchft", "two_adamw", "streaming-diloco", TWO, ADAMW),
    (
        "torchft",
        "three_blend_sgd",
        "streaming-diloco",
        THREE,
        Optimizer,
    ),
    ("torchft", "localsgd", "local", {"tau": 4}, Optimizer),
    ("sgp", "exponential", "sgp", {}, Optimizer),
    ("paper_reducers", "topk", "sc-allreduce", {"compression": "topk:0.25"}, Optimizer),
    ("paper_reducers", "rankk", "sc-allreduce", {"compression": "powersgd:2,start=0,saving=1"}, Optimizer),
    ("powergossip", "dpsgd_overlap", "sd", {}, Optimizer),
    ("powergossip", "dpsgd", "sd", {"order": "update-then-mix"}, Optimizer),
    ("torch", "periodic_3", "local", {"tau": 4}, Optimizer),
    ("torch", "post_local_7", "post-local", {"tau": 4, "switch": 7}, Optimizer),
    ("torch", "ddp", "sc-allreduce", {}, Optimizer),
]


@functools.cache
def agreement() -> dict[str, float]:
    """What docs/strategies.md says: of a strategy or codec, the largest difference."""
    page = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")
    table = page.partition("## Agreement")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    bounds = [(row[1], re.match(r"1e-\d+", row[3])) for row in rows]
    return {name: float(to[0]) for names, to in bounds if to for name in re.findall(r"`([^`]+)`", names)}


def test_the_page_claims_agreement_of_what_is_compared_here_to_1e_8_or_better() -> None:
    compared = {options.get("compression", name).partition(":")[0] for _, _, name, options, _ in CASES}
    assert set(agreement()) == compared
    assert {name for name, bound in agreement().items() if bound > 1e-12} == {"powersgd"}


@pytest.mark.parametrize(
    ("file", "array", "strategy", "options", "optimizer"), CASES, ids=lambda x: str(x)[:30]
)
def test_every_learner_has_the_weights_of_the_other_implementation_before_every_step(
    file: str,
    array: str,
    strategy: str,
    options: dict[str, Any],
    optimizer: Callable[[torch.Tensor], Optimizer],
) -> None:
    expected = np.load(FOLDER / f"{file}.npz")[array]
    found = weights_of(strategy, options, optimizer)
    subject = options.get("compression", strategy).partition(":")[0]
    if strategy == "sgp":  # ends with an average of all learners, which the other code leaves out
        expected, found = expected[:-1], found[:-1]
    np.testing.assert_allclose(found, expected, rtol=0, atol=agreement()[subject])
