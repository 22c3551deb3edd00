"""Small runs of any strategy in virtual time, on a task whose gradients NumPy can follow."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.strategies import registry
from dasr.strategies.base import Strategy
from dasr.strategies.linear_combination import LinearCombination
from dasr.worlds.interface import Ready, World
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation

Vector = NDArray[np.float64]
RATE = 0.05
# A gradient a second, no network cost, three seconds until a loss is noticed.
SECOND = Cluster(name="second", compute=Compute(fixed_s=1.0), detect_s=3.0)


@functools.cache
def data(sample: int, dimension: int) -> tuple[Vector, Vector]:
    """Slope and offset of one sample's gradient."""
    random = np.random.default_rng(sample)
    return random.uniform(0.1, 2.0, dimension), random.normal(size=dimension)


def gradient(w: Vector, samples: Iterable[int]) -> Vector:
    """Mean over samples of slope * w + sin(w) + offset: not linear, so that the order of operations shows."""
    pairs = [data(sample, len(w)) for sample in samples]
    return np.sin(w) + sum(slope * w + offset for slope, offset in pairs) / len(pairs)


def start(dimension: int) -> Vector:
    return np.random.default_rng(10**9).normal(size=dimension)


class Wavy:
    """The task of one learner; L learners see in a step what one learner with the whole batch sees."""

    def __init__(self, rank: int, size: int, share: int, dimension: int, dtype: torch.dtype):
        self.rank, self.size, self.share, self.dtype = rank, size, share, dtype
        self.num_parameters = dimension
        self.steps = 0

    def initial(self) -> torch.Tensor:
        return torch.from_numpy(start(self.num_parameters)).to(self.dtype)

    def gradient(self, weights: torch.Tensor, gradient_: torch.Tensor, ready: Ready) -> float:
        first = (self.steps * self.size + self.rank) * self.share
        value = gradient(weights.numpy().astype(np.float64), range(first, first + self.share))
        gradient_.copy_(torch.from_numpy(value))
        self.steps += 1
        third = self.num_parameters // 3
        for part in (gradient_[2 * third :], gradient_[third : 2 * third], gradient_[:third]):
            if len(part):
                ready(part)
        return float(np.square(value).sum())

    def describe_batch(self) -> str:
        return f"step {self.steps}"

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = int(state["steps"])


class Recorder(optimizer.Optimizer):
    """Plain SGD that keeps every update it applied."""

    def __init__(self, weights: torch.Tensor):
        super().__init__(weights)
        self.updates: list[Vector] = []

    def step(
        self,
        weights: torch.Tensor,
        gradient_: torch.Tensor,
        learning_rate: float,
        mixed: LinearCombination = (),
        out: torch.Tensor | None = None,
    ) -> torch.Tensor:
        self.updates.append(-learning_rate * gradient_.numpy().astype(np.float64))
        return super().step(weights, gradient_, learning_rate, mixed, out)


@dataclass
class Result:
    learners: list[Learner]
    strategies: list[Strategy]
    seconds: float

    @property
    def weights(self) -> Vector:
        """float64 [learners, dimension]"""
        return np.stack([learner.weights.numpy().astype(np.float64) for learner in self.learners])

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.weights.tobytes()).hexdigest()


def run(
    strategy: str,
    size: int,
    steps: int = 6,
    *,
    share: int = 1,
    dimension: int = 7,
    dtype: torch.dtype = torch.float64,
    cluster: Cluster = SECOND,
    world_seed: int = 0,
    optimizer_: Callable[[torch.Tensor], optimizer.Optimizer] | None = None,
    rate: Callable[[int], float] = lambda samples: RATE,
    prepare: Callable[[Learner, Strategy], None] = lambda learner, strategy: None,
    late: Mapping[int, float] | None = None,
    shapes: Sequence[tuple[int, ...]] | None = None,
    **options: Any,
) -> Result:
    """`steps` steps of all learners together; every learner's gradient is of `share` samples.

    `late`: ranks, and the seconds after which they begin; `shapes`: of the parameters in the vector."""
    simulation = Simulation(cluster, size, seed=world_seed)
    result = Result([], [], 0.0)
    make = optimizer_ or (lambda weights: optimizer.make(registry.find(strategy).optimizer or "sgd", weights))
    for world in simulation.worlds:
        task = Wavy(world.rank, size, share, dimension, dtype)
        if shapes is not None:
            task.__dict__["shapes"] = shapes
        learner = Learner(world, task, make, rate, Budget(steps, size * share, size))
        result.learners.append(learner)
        result.strategies.append(registry.make(strategy, learner, **options))
        prepare(learner, result.strategies[-1])

    async def life(world: World) -> None:
        await world.sleep((late or {}).get(world.rank, 0.0))
        await result.strategies[world.rank].run()

    simulation.run(life)
    result.seconds = simulation.now
    return result


def cluster_of(nodes: int = 1, **changes: Any) -> Cluster:
    """A second a gradient, `nodes` learners a node, other fields changed."""
    return replace(SECOND, learners_per_node=nodes, **changes)


def follows(strategy: str, options: Mapping[str, Any], oracle: Callable[[int, int], Vector]) -> None:
    """Fail where a run's weights are not `oracle(size, steps)`, for 1 to 17 equal learners without network
    cost."""
    steps = 9
    for size in range(1, 18):
        exact = run(strategy, size, steps, **options).weights
        expected = oracle(size, steps)
        np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-12, err_msg=f"{size} learners")
        if size in (1, 4, 5):
            rough = run(strategy, size, steps, dtype=torch.float32, **options).weights
            np.testing.assert_allclose(rough, expected, rtol=0, atol=1e-5)
