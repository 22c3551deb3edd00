"""The schema's sections and the dataclasses that they configure."""

import dataclasses

import pytest
import yaml

from dasr import config
from dasr.errors import UserError
from dasr.models import config as model_config
from dasr.training import config as training_config

PAIRS = {"model": model_config.ModelConfig, "training": training_config.TrainingConfig}


@pytest.mark.parametrize("section", PAIRS)
def test_the_schema_names_exactly_the_fields_of_the_dataclass(section):
    schema = yaml.safe_load(config.SCHEMA.read_text())["properties"][section]["properties"]
    fields = {field.name for field in dataclasses.fields(PAIRS[section])}
    assert set(schema) - {"preset"} == fields


@pytest.mark.parametrize("preset", model_config.PRESETS)
def test_what_is_given_overrides_the_preset_and_nothing_else_does(preset):
    plain = config.complete({"model": {"preset": preset}})
    assert model_config.from_config(plain["model"]) == model_config.PRESETS[preset]
    assert training_config.from_config(plain) == training_config.PRESETS[preset]
    given = config.complete({"model": {"preset": preset, "cells": 7}, "training": {"epochs": 3}})
    assert model_config.from_config(given["model"]).cells == 7
    assert training_config.from_config(given).epochs == 3


def test_every_preset_can_be_trained():
    for preset, training in training_config.PRESETS.items():
        assert training.chunk_frames % model_config.PRESETS[preset].subsampling == 0
        assert training.budget(10_000, training.reference_batch, 4).steps > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"comparison": {"strategies": ["single", "bmuff"]}}, "no strategy 'bmuff'; did you mean 'bmuf'"),
        ({"comparison": {"strategies": [{"strategy": "bmuf", "tauu": 3}]}}, "did you mean 'tau'"),
        ({"comparison": {"learners": [3], "batch": [32]}}, "32 chunks cannot be shared equally by 3"),
        (
            {"training": {"chunk_frames": 40}},
            r"chunk_frames \(40\) must be a multiple of .*subsampling \(3\)",
        ),
    ],
)
def test_a_run_that_could_not_be_trained_is_refused_before_anything_runs(changes, message):
    training_config.check_runs(config.complete({}))
    with pytest.raises(UserError, match=message):
        training_config.check_runs(config.complete(changes))
