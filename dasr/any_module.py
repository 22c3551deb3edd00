"""`dasr.compare`: strategies on any torch module, in virtual time.

    found = dasr.compare(model, loss, batches, strategies=["sc-allreduce", "ad", "bmuf"], learners=8)
    print(found)                       # a row a run: time, speed-up, bytes, the last loss
    found.draw("comparison.svg")       # loss against samples and against virtual seconds

With `mlflow="sqlite:///mlflow.db"` each run is written to MLflow too. Learners, strategies and the virtual
network are those of `dasr simulate`; no speech is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from dasr import config as configuration
from dasr.config import Run, TrainingConfig
from dasr.errors import UserError
from dasr.learner import recipe
from dasr.learner.learner import Budget
from dasr.planning import figures
from dasr.planning.simulate import MakeOptimizer, SimulationResult, Workload, simulate
from dasr.tasks.module_task import Loss, ModuleTask
from dasr.tasks.task import Task
from dasr.tracking import simulated
from dasr.validation import validated
from dasr.worlds.interface import World
from dasr.worlds.simulated import presets

HELD_OUT = 8  # batches that the loss of the curves is taken over, where none are given
NAME = "loss"


@dataclass(frozen=True)
class Comparison:
    """The results, a run each: by strategy in the order given, then by seed."""

    results: list[SimulationResult]

    def __str__(self) -> str:
        return figures.table(self.results, NAME)

    def draw(self, path: Path | str) -> None:
        """The figure: loss over samples and over virtual seconds."""
        figures.draw(self.results, Path(path), NAME)


def compare(
    model: nn.Module,
    loss: Loss,
    batches: Sequence[Any] | Callable[[int], Any],
    *,
    strategies: Sequence[str | dict[str, Any]] = ("sc-allreduce", "sd", "ad", "bmuf"),
    learners: int = 8,
    cluster: str = "ethernet-25g",
    seeds: int = 3,
    steps: int = 100,
    learning_rate: float = 0.1,
    step_seconds: float = 0.1,
    held_out: Sequence[Any] | None = None,
    mlflow: str | None = None,
) -> Comparison:
    """Train `model` with each strategy on virtual learners that begin at its weights.

    `loss(model, batch)`: the mean over a learner's batch. `batches`: a sequence, shuffled for each seed and
    pass; or a function of an index (then the seeds differ in dropout only, and one is enough). `strategies`:
    entries as of `comparison.strategies` in config.yaml, with options and their own `optimizer`,
    `learning_rate` and so on. `steps`: batches of all learners together. `step_seconds`: virtual time of one
    gradient. `held_out`: batches for the loss of the curves (default: the first eight of the source).
    `mlflow`: a tracking URI, to which the runs are written.

    Raises UserError."""
    workloads = configuration.complete(
        {
            "comparison": {
                "strategies": list(strategies),
                "learners": [learners],
                "batch": [learners],
                "seeds": list(range(seeds)),
            },
        },
        "dasr.compare",
    )
    training = validated(
        TrainingConfig,
        {"learning_rate": learning_rate, "rate_rule": "none", "schedule": "constant"},
        "dasr.compare",
    )
    described = presets.load(cluster)
    described = dataclasses.replace(
        described, compute=dataclasses.replace(described.compute, fixed_s=step_seconds, per_sample_s=0.0)
    )
    results = []
    for run in configuration.runs(workloads):
        source = _source(batches, run.seed)
        kept = list(held_out) if held_out is not None else [_at(batches, n) for n in range(HELD_OUT)]
        workload = _workload(model, loss, source, kept, training, run)
        budget = Budget(steps, run.learners, run.learners)
        results.append(
            simulate(
                run.strategy, budget, described, options=dict(run.options), seed=run.seed, workload=workload
            )
        )
    if mlflow is not None:
        simulated.write(results, mlflow)
    return Comparison(results)


def _at(batches: Sequence[Any] | Callable[[int], Any], index: int) -> Any:
    return batches(index) if callable(batches) else batches[index % len(batches)]


def _source(batches: Sequence[Any] | Callable[[int], Any], seed: int) -> Callable[[int], Any]:
    """Batch by index, without end. Raises UserError for an empty sequence."""
    if callable(batches):
        return batches
    if not len(batches):
        raise UserError("dasr.compare: there is no batch in `batches`")

    def batch(index: int) -> Any:
        passed, place = divmod(index, len(batches))
        order = np.random.default_rng([seed, passed]).permutation(len(batches))
        return batches[int(order[place])]

    return batch


def _workload(
    model: nn.Module,
    loss: Loss,
    source: Callable[[int], Any],
    held_out: list[Any],
    training: TrainingConfig,
    run: Run,
) -> Workload:
    scored = ModuleTask(model, loss, source)
    own = recipe.training_of(training, run.strategy, dict(run.training))

    def task(world: World, batch: int, seed: int) -> Task:
        return ModuleTask(model, loss, source, seed, world.rank, world.size)

    def evaluate(weights: Tensor) -> float:
        return scored.evaluate(weights, held_out)

    def recipe_of(strategy: str, learners: int) -> tuple[Callable[[int], float], MakeOptimizer]:
        rate = float(own.learning_rate)
        return lambda samples: rate, recipe.optimizer_of(own, strategy, run.batch, learners)

    return Workload(task, evaluate=evaluate, recipe=recipe_of)
