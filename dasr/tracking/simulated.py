"""Simulated runs in MLflow: their curves over samples and virtual seconds, and what they cost.

A point of a curve has step = samples seen and time = start + virtual seconds, as those of real runs have.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence

from dasr.planning.simulate import SimulationResult
from dasr.tracking.database import make_whole
from dasr.tracking.store import errors_named, look_for_server

EXPERIMENT = "dasr.compare"


def write(results: Sequence[SimulationResult], uri: str) -> None:
    """Add a run for each result to the experiment EXPERIMENT. Raises UserError where MLflow fails."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    look_for_server(uri)
    import mlflow

    for noisy in ("mlflow", "alembic"):  # each has a hundred lines to say about a fresh database
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with errors_named(uri):
        make_whole(uri)
        client = mlflow.MlflowClient(uri)
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        for result in results:
            _add(client, experiment, result)


def _add(client: object, experiment: str, result: SimulationResult) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    assert isinstance(client, MlflowClient)
    start = int(1000 * time.time())
    name = f"{result.label}-L{result.learners}-S{result.seed}"
    run = client.create_run(experiment, start, tags={"mlflow.runName": name}).info.run_id
    points = [
        Metric(name, value, start + int(1000 * seconds), step)
        for name, value, seconds, step in _points(result)
    ]
    client.log_batch(run, metrics=points, params=[Param(key, str(value)) for key, value in _params(result)])
    client.set_terminated(run, end_time=start + int(1000 * result.seconds))


def _params(result: SimulationResult) -> Iterator[tuple[str, object]]:
    yield from (("strategy", result.label), ("learners", result.learners), ("seed", result.seed))
    yield from (("cluster", result.cluster), ("parameters", result.parameters), ("steps", result.steps))


def _points(result: SimulationResult) -> Iterator[tuple[str, float, float, int]]:
    """(metric, value, virtual seconds, samples)."""
    for point in result.curve:
        yield "heldout/loss", point["loss"], point["seconds"], int(point["samples"])
    for name, value in (
        ("time/training_s", result.seconds),
        ("time/wait_fraction", result.wait_fraction),
        ("time/speedup", result.speedup),
        ("cost/mb_sent", result.mb_sent_per_learner),
        ("cost/staleness_mean", result.staleness_mean),
    ):
        yield name, value, result.seconds, 0
