"""Whether every run of a comparison could be trained, found out before anything starts."""

from __future__ import annotations

from dasr import config as configuration
from dasr.config import Config, Run
from dasr.errors import UserError
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.planning.timing_task import TimingTask
from dasr.strategies import registry
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation

PARAMETERS = 1_000_000  # of a model without values: nothing is computed
CLUSTER = Cluster(compute=Compute(fixed_s=1.0))


def check_runs(config: Config) -> None:
    """Build the strategy of every run in a simulated world. Raises UserError for one that cannot be."""
    for run in configuration.runs(config):
        registry.check(run.strategy, dict(run.options))
        budget = Budget(1, run.batch, run.learners)
        try:
            _build(run, budget, config.training)
        except UserError as error:
            raise UserError(f"run {run.name}: {error}") from None
        except Exception as error:
            raise UserError(
                f"run {run.name}: its strategy cannot be built: {type(error).__name__}: {error}"
            ) from error


def _build(run: Run, budget: Budget, training: configuration.TrainingConfig) -> None:
    simulation = Simulation(CLUSTER, run.learners, samples=budget.local_batch, timing_only=True)
    wanted = registry.find(run.strategy).optimizer
    make_optimizer = optimizer.chosen(wanted, training.momentum, training.clip)
    for world in {simulation.worlds[0], simulation.worlds[-1]}:
        learner = Learner(world, TimingTask(PARAMETERS), make_optimizer, lambda samples: 0.1, budget)
        registry.make(run.strategy, learner, **dict(run.options))
