"""Note, parameters, source and data sets."""

import json
from pathlib import Path

from dasr import config as dasr_config
from dasr.results.corpus_facts import SplitFacts
from dasr.results.records import RunRecord
from dasr.tracking import describe

TRAIN = SplitFacts("train", utterances=1234, speakers=9, hours=1.5, digest="a1b2")


def record(**entry: object) -> RunRecord:
    config = dasr_config.complete(
        {"comparison": {"strategies": [{"strategy": "bmuf", **entry}], "learners": [2], "seeds": [0]}}
    )
    return RunRecord(dasr_config.runs(config)[0], Path(), {}, [], [], [], {})


def test_the_note_says_what_is_compared_on_how_much_speech_and_where_the_report_is() -> None:
    note = describe.note(dasr_config.complete({}), [TRAIN], ["No difference shown."], "3", "f00")
    assert "No difference shown." in note
    assert "preset demo" in note and "8 epochs" in note
    assert "train 1,234 utterances (1.50 h)" in note
    assert "[report.html](#/experiments/3/runs/f00/artifacts/report.html)" in note


def test_params_are_those_that_counted_defaults_included() -> None:
    resolved = {
        "options": {"block_samples": 7, "momentum": 0.5}, "peak_learning_rate": 0.25,
        "model": {"cells": 32}, "training": {"epochs": 8},
    }  # fmt: skip
    settings = {"resolved": resolved, "model": {"preset": "demo"}, "corpus": {"kind": "an4"}}
    found = dict(describe.params(record(block_samples=7), settings))
    assert found["option.block_samples"] == "7" and found["option.momentum"] == "0.5"
    assert found["peak_learning_rate"] == "0.25" and found["model.cells"] == "32"
    assert found["preset"] == "demo" and found["corpus.kind"] == "an4"
    assert found["strategy"] == "bmuf-block_samples=7"


def test_of_a_run_of_an_earlier_version_the_given_options_are_shown() -> None:
    found = dict(describe.params(record(block_samples=7), {}))
    assert found["option.block_samples"] == "7" and "peak_learning_rate" not in found


def test_the_source_is_the_command_and_the_commit_without_its_mark() -> None:
    found = dict(describe.tags(record(), {"code": {"commit": "abc-dirty"}, "environment": {"gpu": "X"}}))
    assert found["mlflow.source.name"] == "dasr train bmuf-L2-B32-S0"
    assert found["mlflow.source.git.commit"] == "abc" and found["dasr.code.commit"] == "abc-dirty"
    assert found["dasr.environment.gpu"] == "X"


def test_a_data_set_has_hours_utterances_and_a_digest() -> None:
    (found,) = describe.data_sets(dasr_config.complete({}), [TRAIN])
    assert found.dataset.digest == "a1b2"
    assert json.loads(found.dataset.profile) == {"utterances": 1234, "speakers": 9, "hours": 1.5}
    assert [tag.value for tag in found.tags] == ["training"]
