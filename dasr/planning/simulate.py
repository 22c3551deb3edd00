"""Run one strategy on virtual learners: how fast it would be, what it sends, and (with a task) how it
converges.

    result = simulate("ad", Budget(steps=100, batch=8192, learners=64), presets.load("ethernet-25g"))
    result.speedup, result.wait_fraction, result.mb_sent_per_learner
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dasr import plugins
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.planning.timing_task import Anatomy, TimingTask
from dasr.strategies import registry
from dasr.strategies.base import Strategy
from dasr.tasks.task import Task
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.simulation import Simulation

SWB2000 = 43_154_944  # parameters of the paper's model

MakeOptimizer = Callable[[Tensor], optimizer.Optimizer]
MakeTask = Callable[[World, int, int], Task]
"""(world, samples a step of all learners, seed) -> that learner's task."""

Recipe = Callable[[str, int], tuple[Callable[[int], float], MakeOptimizer]]
"""(strategy, learners) -> the learning rate over samples, and what makes a learner's optimizer."""


def plain_sgd(rate: float) -> Recipe:
    """SGD at a constant rate, or the optimizer that the strategy is defined with."""
    return lambda strategy, learners: (
        lambda samples: rate,
        optimizer.chosen(registry.find(strategy).optimizer, 0.0, None),
    )


SGD = plain_sgd(0.1)


@dataclass(frozen=True)
class Workload:
    """What virtual learners train. Without a `task`, timing only, for a model of `parameters`; with `clock`
    the curve then says when counts of samples were reached."""

    task: MakeTask | None = None
    parameters: int | Anatomy = SWB2000
    bytes_scale: int = 1  # parameters on the wire that each one of the task stands for
    evaluate: Callable[[Tensor], float] | None = None  # the loss of a model, taken outside virtual time
    local_losses: bool = True  # also of the learners' own models, where they are at most 8
    clock: bool = False
    points: int = 20  # counts of samples at which it is taken: of the consensus model and of each learner's
    recipe: Recipe = SGD
    device: str = "cpu"  # where `task` computes
    average: int = 1  # the model that is evaluated is the mean of so many last points


TIMING = Workload()


@dataclass
class SimulationResult:
    """What came out; `seconds` are virtual, from the start to the last gradient of the budget.

    What an asynchronous strategy does after that (rounds of mixing until all models agree) is
    `tail_seconds`: it does not grow with the length of a run."""

    strategy: str
    options: dict[str, Any]
    learners: int
    steps: int  # batches of all learners together
    local_batch: int  # samples in one learner's batch
    cluster: str
    seed: int
    parameters: int
    seconds: float
    tail_seconds: float
    samples: int  # whose gradients were applied
    speedup: float  # against one learner of this cluster that never waits, at the same local batch
    wait_fraction: float  # of the gradient loops' time
    compute_fraction: float
    mb_sent_per_learner: float
    messages_per_learner: float
    mixes_per_learner: float
    staleness_mean: float
    staleness: dict[int, int]
    dead: list[int]
    curve: list[dict[str, float]] = field(default_factory=list)
    weights_sha256: str = ""

    @property
    def label(self) -> str:
        """The strategy with the options that were given, as tables and figures show it."""
        given = sorted(self.options.items())
        return plugins.title(self.strategy) + "".join(f"-{key}={value}" for key, value in given)

    @property
    def samples_per_s(self) -> float:
        return self.samples / self.seconds if self.seconds else float("inf")

    @property
    def efficiency(self) -> float:
        return self.speedup / self.learners

    @property
    def step_seconds(self) -> float:
        """Time of one batch of all learners together."""
        return self.seconds / self.steps

    def record(self) -> dict[str, Any]:
        """One JSON line, `kind` first."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "curve"}
        values |= {"samples_per_s": self.samples_per_s, "efficiency": self.efficiency}
        return {"kind": "simulation", "label": self.label, **values, "step_seconds": self.step_seconds}


@dataclass
class Snapshot:
    """One learner's weights at a count of samples, for the curves."""

    samples: int
    seconds: float
    weights: Tensor


class Snapshots:
    """The Callbacks of a simulated learner: copies of its weights at `points` even counts of the budget."""

    def __init__(self, world: World, budget: Budget, points: int) -> None:
        self.world = world
        self.counts = [budget.samples * i // points for i in range(points)]
        self.taken: list[Snapshot] = []

    def at(self, step: int, doing: str) -> None:
        """Nobody watches a simulated learner."""

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        while len(self.taken) < len(self.counts) and learner.samples >= self.counts[len(self.taken)]:
            self.taken.append(Snapshot(self.counts[len(self.taken)], self.world.now(), learner.copy()))
        return True


def simulate(
    strategy: str,
    budget: Budget,
    cluster: Cluster,
    *,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    workload: Workload = TIMING,
) -> SimulationResult:
    """Spend `budget` on `workload`. Raises UserError, and the errors of `Simulation.run`."""
    registry.check(strategy, options or {})
    simulation = Simulation(
        cluster,
        budget.learners,
        seed=seed,
        samples=budget.local_batch,
        bytes_scale=workload.bytes_scale,
        timing_only=workload.task is None,
        device=workload.device,
    )
    schedule, make_optimizer = workload.recipe(strategy, budget.learners)
    all_learners: list[Learner] = []
    strategies: list[Strategy] = []
    keepers: list[Snapshots] = []
    for world in simulation.worlds:
        task = _task(workload, world, budget, seed)
        watched = workload.evaluate is not None or workload.clock
        keeper = Snapshots(world, budget, workload.points) if watched else None
        learner = Learner(world, task, make_optimizer, schedule, budget, keeper)
        all_learners.append(learner)
        strategies.append(registry.make(strategy, learner, **dict(options or {})))
        keepers += [keeper] if keeper else []
    simulation.run(lambda world: strategies[world.rank].run())
    result = _result(simulation, strategy, dict(options or {}), budget, all_learners)
    if keepers:
        alive = [rank for rank in range(budget.learners) if rank not in simulation.deaths]
        for rank in alive:
            last = Snapshot(budget.samples, simulation.now, all_learners[rank].weights)
            keepers[rank].taken.append(last)
        taken = [keepers[rank].taken for rank in alive]
        result.curve = clock(taken) if workload.evaluate is None else curve(taken, workload)
    if workload.task is not None:
        digest = hashlib.sha256()
        for learner in all_learners:
            digest.update(learner.weights.cpu().numpy().tobytes())
        result.weights_sha256 = digest.hexdigest()
    return result


def _task(workload: Workload, world: World, budget: Budget, seed: int) -> Task:
    if workload.task is None:
        return TimingTask(workload.parameters)
    return workload.task(world, budget.batch, seed)


def clock(taken: list[list[Snapshot]]) -> list[dict[str, float]]:
    """When all learners have reached each count of samples."""
    return [
        {"samples": float(at[0].samples), "seconds": max(snapshot.seconds for snapshot in at)}
        for at in zip(*taken, strict=False)
    ]


def curve(taken: list[list[Snapshot]], workload: Workload) -> list[dict[str, float]]:
    """Loss of the consensus model, or of the mean of the last `average` ones, and spread of the learners' own
    at each count that all have reached."""
    evaluate, lines = workload.evaluate, []
    assert evaluate is not None
    last = deque[Tensor](maxlen=workload.average)
    for at, when in zip(zip(*taken, strict=False), clock(taken), strict=True):
        models = torch.stack([snapshot.weights for snapshot in at])
        mean = models.mean(0)
        last.append(mean)
        local = [evaluate(model) for model in models] if workload.local_losses and len(models) <= 8 else []
        lines.append(
            {
                **when,
                "loss": evaluate(mean if len(last) == 1 else torch.stack(list(last)).mean(0)),
                "local_loss_max": max(local, default=float("nan")),
                "consensus_distance": float((models - mean).square().sum(1).mean()),
            }
        )
    return lines


def _result(
    simulation: Simulation, strategy: str, options: dict[str, Any], budget: Budget, learners: list[Learner]
) -> SimulationResult:
    accounts = [learner.world.accounts for learner in learners]
    staleness: dict[int, int] = {}
    for account in accounts:
        for value, count in account.staleness.items():
            staleness[value] = staleness.get(value, 0) + count
    applied = sum(staleness.values())
    samples = sum(learner.steps for learner in learners) * budget.local_batch
    worlds = simulation.worlds
    if registry.find(strategy).asynchronous:
        seconds = max(world.computed_at for world in worlds)
        waited = sum(world.waited_before for world in worlds)
    else:
        seconds = simulation.now
        waited = sum(account.wait_seconds for account in accounts)
    alone = simulation.cluster.compute.seconds(budget.local_batch)
    whole = seconds * len(learners) or 1.0
    mean = 1.0 / len(learners)
    return SimulationResult(
        strategy=strategy,
        options=options,
        learners=len(learners),
        steps=budget.steps,
        local_batch=budget.local_batch,
        cluster=simulation.cluster.name,
        seed=simulation.seed,
        parameters=learners[0].weights.numel() * simulation.bytes_scale,
        seconds=seconds,
        tail_seconds=simulation.now - seconds,
        samples=samples,
        speedup=samples / budget.local_batch * alone / seconds if seconds else float(len(learners)),
        wait_fraction=waited / whole,
        compute_fraction=sum(a.compute_seconds for a in accounts) / whole,
        mb_sent_per_learner=sum(a.bytes_sent for a in accounts) * mean / 1e6,
        messages_per_learner=sum(a.messages for a in accounts) * mean,
        mixes_per_learner=sum(a.mixes for a in accounts) * mean,
        staleness_mean=sum(k * n for k, n in staleness.items()) / applied if applied else 0.0,
        staleness=dict(sorted(staleness.items())),
        dead=sorted(simulation.deaths),
    )
