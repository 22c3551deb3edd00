"""Predicted speed-up: which points, within what time, and kept for other results folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.planning import predict


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dasr_config.Config:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    strategies: list[Any] = ["single", "sd", {"strategy": "bmuf", "tau": 4}]
    return dasr_config.complete(
        {
            "results": str(tmp_path / "results"),
            "comparison": {"strategies": strategies, "learners": [2, 4]},
            "simulation": {"max_learners": 5},
        }
    )


def test_only_what_is_compared_is_simulated_few_learners_first(config: dasr_config.Config) -> None:
    found = [(point.strategy, point.options, point.learners) for point in predict.points(config)]
    sd, bmuf = ("sd", ()), ("bmuf", (("tau", 4),))
    assert found == [(*each, learners) for learners in (1, 2, 4) for each in (sd, bmuf)]


def test_another_folder_of_the_same_configuration_simulates_nothing(
    config: dasr_config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = list(predict.records(config, seconds=60))
    assert [(one["label"], one["learners"]) for one in first][:2] == [("sd", 1), ("bmuf-tau=4", 1)]

    def simulated(point: predict.Point, cluster: object) -> None:
        raise AssertionError(point)

    monkeypatch.setattr(predict.Point, "simulated", simulated)
    elsewhere = config.model_copy(update={"results": config.results + "-2"})
    assert list(predict.records(elsewhere, seconds=0)) == json.loads(json.dumps(first))
    slower = config.model_copy(
        update={"simulation": config.simulation.model_copy(update={"cluster": "ethernet-1g"})}
    )
    with pytest.raises(AssertionError):
        list(predict.records(slower, seconds=60))


@pytest.mark.slow
def test_two_processes_give_the_records_of_one_in_its_order(
    config: dasr_config.Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = list(predict.records(config, seconds=600))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert list(predict.records(config, seconds=600, jobs=2)) == one


def test_no_simulation_begins_after_the_time_is_spent(config: dasr_config.Config) -> None:
    assert list(predict.records(config, seconds=0)) == []


def test_a_damaged_entry_of_the_cache_is_simulated_again(config: dasr_config.Config) -> None:
    first = list(predict.records(config, seconds=60))
    for path in predict.cache_folder().iterdir():
        path.write_text("{")
    assert [one["speedup"] for one in predict.records(config, seconds=60)] == [
        one["speedup"] for one in first
    ]


def test_the_command_writes_what_the_report_draws(config: dasr_config.Config, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config.text())
    result = CliRunner().invoke(predict.predict, ["--jobs", "1", "--config", str(tmp_path / "config.yaml")])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "results" / "simulation" / "speedup.jsonl").read_text().splitlines()
    assert len(lines) == 6 and {"label", "learners", "speedup"} <= set(json.loads(lines[0]))
