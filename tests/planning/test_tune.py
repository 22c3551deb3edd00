"""Successive halving: who goes on, what is written, and that nothing ends worse than it was configured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from dasr import config as configuration
from dasr.config import Config
from dasr.planning import trials, tune
from dasr.worlds.simulated import presets
from tests.support.aligned_corpus import small_config

NOTHING: dict[str, list[float]] = {"clip": [], "warmup_epochs": []}


@dataclasses.dataclass(frozen=True)
class KnownLosses:
    """A Lab whose loss is known: (log2 of the rate - best)^2, less with epochs; a rate over 5 diverges."""

    config: Config
    best: float
    epochs: float | None = None
    asked: list[tuple[float | None, int]] = dataclasses.field(default_factory=list)

    def final_losses(self, wanted: Sequence[Any], jobs: int, doing: str) -> list[float]:
        self.asked.append((self.epochs, len(wanted)))
        assert self.epochs is not None
        rates = [dict(run.training).get("learning_rate", 2.0) for run, _ in wanted]
        return [math.inf if r > 5 else (math.log2(r) - self.best) ** 2 + 1 / self.epochs for r in rates]


@pytest.fixture
def config() -> Config:
    training = {"learning_rate": 2.0, "epochs": 8}
    comparison = {"strategies": ["sd", {"strategy": "bmuf", "tau": 3}], "learners": [2], "batch": [12]}
    return configuration.complete({"training": training, "comparison": comparison})


def halved(config: Config, best: float, factors: Sequence[float]) -> tuple[Any, list[list[tune.Candidate]]]:
    lab: Any = KnownLosses(config, best)
    families = tune.families_of(config, 1)
    fields = [tune.candidates(config, runs[0], factors, NOTHING) for runs in families]
    tune.halve(lab, presets.load("ideal"), families, fields, 1)
    return lab, fields


def test_halves_go_on_with_more_of_the_budget_and_the_best_rate_is_found(config: Config) -> None:
    lab, fields = halved(config, best=0.0, factors=tune.FACTORS)  # the best rate is 1
    # five candidates of two strategies, then two of the four others and the configured, then one and it
    assert lab.asked == [(2.0, 10), (4.0, 6), (8.0, 4)]
    for field in fields:
        last = [one for one in field if 1.0 in one.losses]
        assert [dict(one.changes).get("learning_rate") for one in last] == [None, 1.0]
        assert last[0].configured


def test_the_configured_settings_stay_to_the_end_however_bad_they_begin(config: Config) -> None:
    _, fields = halved(config, best=2.0, factors=(0.25, 0.5, 2.0, 1.5))
    assert all(field[0].configured and 1.0 in field[0].losses for field in fields)


def test_rates_that_diverge_lose(config: Config) -> None:
    _, fields = halved(config, best=3.0, factors=(1.0, 2.0, 4.0))
    losers = [one for field in fields for one in field if dict(one.changes).get("learning_rate") == 8.0]
    assert [max(one.losses) for one in losers] == [0.25, 0.25]


def test_clip_and_warm_up_make_a_grid_where_they_are_asked_for(config: Config) -> None:
    run = tune.families_of(config, 1)[0][0]
    found = tune.candidates(config, run, [1.0, 2.0], {"clip": [1.0, 3.0], "warmup_epochs": []})
    settings = [dict(one.changes) for one in found]
    assert settings == [
        {},
        {"learning_rate": 2.0, "clip": 3.0},
        {"learning_rate": 4.0, "clip": 1.0},
        {"learning_rate": 4.0, "clip": 3.0},
    ]


def test_the_overlay_is_a_configuration_that_trains_what_was_found(config: Config) -> None:
    families = tune.families_of(config, 1)
    best = [tune.Candidate((("learning_rate", 0.5),)), tune.Candidate((), configured=True)]
    comparison = yaml.safe_load(tune.overlay(families, best))["comparison"]
    sd, bmuf = configuration.runs(configuration.complete({"comparison": comparison}))
    assert (sd.label, dict(sd.training)) == ("sd-learning_rate=0.5", {"learning_rate": 0.5})
    assert (bmuf.strategy, dict(bmuf.options), bmuf.training) == ("bmuf", {"tau": 3}, ())


def test_a_best_rate_at_the_edge_of_the_tried_ones_is_reported(config: Config) -> None:
    families = tune.families_of(config, 1)
    best = [tune.Candidate((("learning_rate", 8.0),)), tune.Candidate((), configured=True)]
    assert tune.edges(families, best, tune.FACTORS, config) == [
        "sd: higher rates than 8 were not tried (--rates)."
    ]


@pytest.mark.slow
def test_tuning_a_small_corpus_twice_trains_once_and_writes_the_same(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = small_config(corpus, epochs=1).plain()
    plain["comparison"]["strategies"] = ["sd", "ad"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(plain))
    arguments = ["--config", str(path), "--rates", "0.25,1,4", "--jobs", "2"]
    first = CliRunner().invoke(tune.tune, arguments, catch_exceptions=False)
    tuned = corpus / "tune" / "tuned.yaml"
    text = tuned.read_text()
    losses = [
        float(line.split()[-3]) for line in first.stdout.splitlines() if line.startswith(("sd ", "ad "))
    ]
    before = [
        float(line.split()[-2]) for line in first.stdout.splitlines() if line.startswith(("sd ", "ad "))
    ]
    assert len(losses) == 2 and all(a <= b for a, b in zip(losses, before, strict=True))
    tuned.unlink()
    monkeypatch.setattr(trials, "simulate", None)
    CliRunner().invoke(tune.tune, arguments, catch_exceptions=False)
    assert tuned.read_text() == text
    tuned.unlink()
