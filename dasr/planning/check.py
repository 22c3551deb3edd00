"""`dasr check`: whether a configuration or a strategy can be used, found out before anything starts.

What needs no torch is checked while the workflow is parsed (check_inputs), the rest in its first job
(check_runs).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from dasr import completion, models, plugins
from dasr import config as configuration
from dasr.config import Config, Run
from dasr.declarations import Declarations
from dasr.errors import UserError
from dasr.files import write_text
from dasr.planning.options import parsed
from dasr.results.layout import Layout
from dasr.strategies import declared
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Cluster, Compute

PARAMETERS = 1_000_000  # of a model without values: nothing is computed
OUTPUTS = 8  # of a network that is tried: fewer than it will have
MODELS = Declarations("model", Path(models.__file__).parent, "Network", given=2)
CLUSTER = Cluster(compute=Compute(fixed_s=1.0))


@click.command()
@click.argument("strategy", required=False, shell_complete=completion.strategies)
@click.option(
    "-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="Option of STRATEGY, say tau=8."
)
@click.option(
    "--config", "config_path", default="config.yaml", show_default=True, help="The configuration; -: stdin."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the completed configuration there.")
def check(strategy: str | None, options: tuple[str, ...], config_path: str, out: Path | None) -> None:
    """Check a configuration: every key and value, and that the strategy of every run can be built.

    With STRATEGY (an id, or path/to/file.py:Class) check that alone, by a rehearsal in virtual time: calls
    that are never awaited, vectors of a wrong length, deadlocks, steps that cost nothing, state that does
    not survive a checkpoint, options without effect. A configuration's strategies by path are rehearsed too.
    """
    if strategy is not None:
        _check_strategy(strategy, parsed(options))
        return
    if config_path == "-":
        config = configuration.parse(sys.stdin.read(), "the configuration")
    else:
        config = configuration.load(config_path)
    check_inputs(config)
    check_corpus(config)
    check_runs(config)
    if out is not None:
        write_text(out, config.text())
    else:
        print(f"{config_path}: {len(configuration.runs(config))} runs, nothing wrong")


def _check_strategy(name: str, options: dict[str, Any]) -> None:
    from dasr.rehearsal.rehearse import require

    require(name, options)
    print(f"{name}: nothing wrong")


def check_inputs(config: Config) -> None:
    """Raise UserError for a strategy, an option, a cluster or a folder that does not exist, a value that an
    option does not take, and runs of one name."""
    for run in configuration.runs(config):
        try:
            declared.check(run.strategy, dict(run.options))
        except UserError as error:
            raise UserError(f"comparison.strategies: {error}") from None
        if run.batch % run.learners:
            raise UserError(
                f"comparison.batch: a batch of {run.batch} chunks cannot be shared equally by {run.learners} "
                "learners"
            )
    where = "model.kind"
    try:
        known = MODELS.of(config.model.kind)
        where = "model.options"
        whose = f"model '{config.model.kind}'"
        plugins.check_options(whose, config.model.network_options, known.annotations, known.others)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    try:
        presets.load(config.simulation.cluster)
    except UserError as error:
        raise UserError(f"simulation.cluster: {error}") from None
    source = config.hmm.import_from
    if source is not None and not Path(source).is_dir():
        raise UserError(f"hmm.import_from: there is no folder {source}")


def check_corpus(config: Config) -> None:
    """Raise UserError where the corpus is not there, and no data directories have been made from it."""
    made = Layout.of(config).lexicon
    if not Path(config.corpus.path).is_dir() and not made.is_file():
        raise UserError(f"corpus.path: there is no folder {config.corpus.path}")


def check_runs(config: Config) -> None:
    """Build the model, and every run's strategy in a simulated world; rehearse strategies given by path.

    Raises UserError for what cannot be built, or has faults."""
    from dasr.rehearsal.rehearse import require

    _check_model(config)
    by_path = {
        (run.strategy, run.options) for run in configuration.runs(config) if plugins.FILE in run.strategy
    }
    for strategy, options in sorted(by_path, key=str):
        require(strategy, dict(options))
    for run in configuration.runs(config):
        try:
            _build(run, config.training)
        except UserError as error:
            raise UserError(f"run {run.name}: {error}") from None
        except Exception as error:
            raise UserError(
                f"run {run.name}: its strategy cannot be built: {type(error).__name__}: {error}"
            ) from error


def _check_model(config: Config) -> None:
    """Build the network with few outputs and try it. Raises UserError."""
    import torch

    from dasr.models import registry
    from dasr.models.acoustic import AcousticModel

    registry.complete(config.model.shape)
    if config.model.kind == configuration.BLSTM:
        return  # its options have been checked
    frames = config.training.chunk_frames
    model = AcousticModel(config.model.shape, config.features.bins, OUTPUTS)
    with torch.inference_mode():
        model.eval().log_posteriors(torch.zeros(frames, config.features.bins))


def _build(run: Run, training: configuration.TrainingConfig) -> None:
    from dasr.learner import recipe
    from dasr.learner.learner import Budget, Learner
    from dasr.planning.timing_task import TimingTask
    from dasr.strategies import registry
    from dasr.training import plan
    from dasr.worlds.simulated.simulation import Simulation

    registry.check(run.strategy, dict(run.options))
    budget = Budget(1, run.batch, run.learners)
    simulation = Simulation(CLUSTER, run.learners, samples=budget.local_batch, timing_only=True)
    training = recipe.training_of(training, run.strategy, dict(run.training))
    make_optimizer = recipe.optimizer_of(training, run.strategy, run.batch, run.learners)
    rates = plan.rates(training, run.batch, run.batch)
    for world in {simulation.worlds[0], simulation.worlds[-1]}:
        learner = Learner(world, TimingTask(PARAMETERS), make_optimizer, rates, budget)
        registry.make(run.strategy, learner, **dict(run.options))
