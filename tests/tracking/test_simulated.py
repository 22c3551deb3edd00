"""Simulations in MLflow: what a user finds there."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from torch import nn

import dasr
from dasr.errors import UserError
from dasr.tracking.simulated import write
from tests.test_any_module import cross_entropy, small, spirals


@pytest.mark.slow  # MLflow makes a database
def test_each_run_is_found_with_its_curve_over_samples_and_virtual_seconds(tmp_path: Path) -> None:
    module: nn.Module = small()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    found = dasr.compare(
        module, cross_entropy, spirals(), strategies=["ad", {"strategy": "bmuf", "tau": 4}], learners=2,
        seeds=1, steps=20, mlflow=uri,
    )  # fmt: skip
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("dasr.compare")
    assert experiment is not None
    runs = {run.data.params["strategy"]: run for run in client.search_runs([experiment.experiment_id])}
    assert runs.keys() == {result.label for result in found.results}
    for result in found.results:
        run = runs[result.label]
        assert run.info.status == "FINISHED" and run.data.params["learners"] == "2"
        assert run.data.metrics["cost/mb_sent"] == pytest.approx(result.mb_sent_per_learner)
        history = sorted(client.get_metric_history(run.info.run_id, "heldout/loss"), key=lambda x: x.step)
        assert [point.value for point in history] == pytest.approx([one["loss"] for one in result.curve])
        assert [point.step for point in history] == [int(one["samples"]) for one in result.curve]
        last = (history[-1].timestamp - run.info.start_time) / 1000
        assert last == pytest.approx(result.curve[-1]["seconds"], abs=2e-3)


def test_a_damaged_database_is_one_line_that_names_it(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_text("this is no database")
    with pytest.raises(UserError, match=f"{database} is damaged"):
        write([], f"sqlite:///{database}")
