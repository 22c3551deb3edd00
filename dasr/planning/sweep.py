"""Many simulations: every strategy with every number of learners and every seed, on several processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dasr.errors import UserError
from dasr.learner.learner import Budget
from dasr.planning import workloads
from dasr.planning.simulate import SimulationResult, Workload, simulate
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
    device: str = "cpu"  # where the corpus is trained

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
        budget = Budget(self.steps, self.local_batch * learners, learners)
        try:
            workload = self._workload(budget, seed)
            return simulate(name, budget, self.cluster, options=self.options, seed=seed, workload=workload)
        except SimulationError as error:
            raise UserError(f"{name} with {learners} learners: {error}") from None

    def _workload(self, budget: Budget, seed: int) -> Workload:
        match self.task:
            case "quadratic":
                return workloads.quadratic(self.learning_rate, self.parameters)
            case "corpus":
                return workloads.corpus(self.config, budget.batch, seed, device=self.device)
            case _:
                return Workload(parameters=self.parameters)
