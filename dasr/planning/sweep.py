"""Many simulations: every strategy with every number of learners and every seed, on several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dasr.errors import UserError
from dasr.planning import workloads
from dasr.planning.simulate import SimulationResult, simulate
from dasr.workers import workers
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.scheduler import SimulationError

Point = tuple[str, int, int]
"""(strategy, learners, seed)"""


@dataclass(frozen=True)
class Sweep:
    """What all simulations have in common."""

    cluster: Cluster
    options: dict[str, Any]
    steps: int
    local_batch: int
    parameters: int
    task: str = "timing"  # or quadratic, corpus
    learning_rate: float = 0.1  # of the quadratic
    config: str = "config.yaml"  # of the corpus

    def run(self, points: Sequence[Point], jobs: int = 1) -> Iterator[SimulationResult]:
        """The results, in the order of `points`. Raises UserError."""
        if jobs == 1:
            yield from map(self.one, points)
            return
        with workers(min(jobs, len(points)), "simulating") as pool:
            yield from pool.map(self.one, points)

    def one(self, point: Point) -> SimulationResult:
        """One simulation. Raises UserError where its strategy cannot go on."""
        name, learners, seed = point
        workload = None
        if self.task == "quadratic":
            workload = workloads.quadratic(self.learning_rate, self.parameters)
        elif self.task == "corpus":
            workload = workloads.corpus(self.config, self.local_batch * learners, seed)
        extra: dict[str, Any] = {}
        if workload is not None:
            extra = {"task": workload.task, "evaluate": workload.evaluate, "schedule": workload.schedule}
            extra |= {
                "momentum": workload.momentum,
                "clip": workload.clip,
                "bytes_scale": workload.bytes_scale,
            }
            if workload.recipe is not None:
                extra["schedule"], extra["make_optimizer"] = workload.recipe(name, learners)
        try:
            return simulate(
                name, learners, self.steps, self.cluster,
                options=self.options, local_batch=self.local_batch, seed=seed,
                parameters=self.parameters, **extra,
            )  # fmt: skip
        except SimulationError as error:
            raise UserError(f"{name} with {learners} learners: {error}") from None
