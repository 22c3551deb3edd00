"""config.yaml: what it accepts, what it refuses, and the runs that it asks for."""

import subprocess
import sys
from pathlib import Path

import pytest

from dasr import config
from dasr.errors import UserError


def test_an_empty_config_is_complete() -> None:
    filled = config.complete({})
    assert filled.corpus.kind == "an4"
    assert filled.features.shards.train >= 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"corpsu": {}}, "unknown key 'corpsu' at top level; did you mean 'corpus'?"),
        (
            {"training": {"learning_rat": 1}},
            "unknown key 'learning_rat' at training; did you mean 'learning_rate'?",
        ),
        (
            {"model": {"preset": "dmo"}},
            "model.preset: 'dmo' is not one of demo, an4, swb2000; did you mean 'demo'?",
        ),
        ({"training": {"average": 11}}, "average (11) is more than there are snapshots (10)"),
        ({"comparison": {"learners": [0]}}, "comparison.learners.0: 0 is below the minimum of 1"),
        (
            {"features": {"kind": "fbnk"}},
            "features.kind: 'fbnk' is not one of fmllr, fbank; did you mean 'fbank'?",
        ),
        ({"training": {"schedule": "warmup-aneal"}}, "did you mean 'warmup-anneal'?"),
        ({"training": {"gradients": "bfloat"}}, "did you mean 'bfloat16'?"),
        (
            {"training": {"augment": {"strech": 0.1}}},
            "unknown key 'strech' at training.augment; did you mean",
        ),
        (
            {"training": {"chunk_frames": 40}},
            "training: chunk_frames (40) must be a multiple of model.subsampling",
        ),
        ({"hmm": {"hours": float("inf")}}, "hmm.hours: inf is not a finite number"),
        ({"comparison": {"learners": [True]}}, "comparison.learners.0: True is not a whole number"),
        (
            {"comparison": {"strategies": [{"strategy": "sd", "mixing": ["ring"]}]}},
            "the option 'mixing' must be",
        ),
        (
            {"comparison": {"strategies": [{"strategy": "bmuf", "eta": float("nan")}]}},
            "the option 'eta' must be",
        ),
        ({"comparison": {"strategies": [{"tau": 3}]}}, "lacks the key 'strategy'"),
        ({"results": "."}, "results: '.' is not a folder of its own"),
        ({"results": ".."}, "results: '..' is not a folder of its own"),
        ({"results": "a{b}"}, "braces mean something to Snakemake"),
        ([], "must be a mapping"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(given: object, says: str) -> None:
    with pytest.raises(UserError) as error:
        config.complete(given)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a: [1")
    with pytest.raises(UserError, match=r"config\.yaml is not YAML"):
        config.load(path)
    with pytest.raises(UserError, match=r"cannot read .*none\.yaml: No such file"):
        config.load(tmp_path / "none.yaml")


def test_runs_are_the_product_of_what_differs_and_single_has_one_learner() -> None:
    comparison = {
        "strategies": ["single", {"strategy": "ad", "mixing": "random-ring"}],
        "learners": [2, 4],
        "seeds": [0, 1],
    }
    names = [run.name for run in config.runs(config.complete({"comparison": comparison}))]
    assert names == [
        "single-L1-B32-S0",
        "single-L1-B32-S1",
        "ad-mixing=random-ring-L2-B32-S0",
        "ad-mixing=random-ring-L2-B32-S1",
        "ad-mixing=random-ring-L4-B32-S0",
        "ad-mixing=random-ring-L4-B32-S1",
    ]


def test_an_entry_may_train_otherwise_and_its_run_is_named_by_that() -> None:
    entry = {"strategy": "bmuf", "tau": 4, "learning_rate": 1.0, "optimizer": "momentum", "clip": None}
    found = config.complete({"comparison": {"strategies": ["bmuf", entry]}})
    plain, other = config.runs(found)
    assert plain.name == "bmuf-L4-B32-S0" and plain.training == ()
    assert other.name == "bmuf-tau=4-optimizer=momentum-learning_rate=1.0-clip=None-L4-B32-S0"
    assert other.options == (("tau", 4),)
    training = config.overridden(found.training, dict(other.training), "")
    assert (training.optimizer.kind, training.learning_rate, training.clip) == ("momentum", 1.0, None)
    kept = {"optimizer", "learning_rate", "clip"}
    assert training.model_dump(exclude=kept) == found.training.model_dump(exclude=kept)


def test_an_unknown_run_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'single-L1-B32-S0'"):
        config.find_run(config.complete({}), "single-L1-B32-S1")


def test_numbers_typed_on_the_command_line_are_numbers() -> None:
    """Snakemake hands over `--config 'training={epochs: 3}'` with "3"."""
    typed = {"training": {"epochs": "0.5"}, "comparison": {"batch": ["24"]}, "corpus": {"limit": "null"}}
    found = config.complete(typed)
    assert (found.training.epochs, found.comparison.batch) == (0.5, [24])
    assert found.corpus.limit is None
    with pytest.raises(UserError, match="'many' is not a whole number"):
        config.complete({"comparison": {"batch": ["many"]}})


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.e-3", "+.1e-2", "0.001"])
def test_a_rate_written_with_an_exponent_is_a_number(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(f"training: {{learning_rate: {text}}}\n")
    assert config.load(tmp_path / "config.yaml").training.learning_rate == 0.001
    assert config.complete({"training": {"learning_rate": text}}).training.learning_rate == 0.001


def test_a_text_that_looks_like_a_number_is_still_that_text_after_a_file() -> None:
    given = config.complete({"results": "1e-3", "comparison": {"name": "0x10"}})
    assert config.parse(given.text(), "text") == given


def test_a_key_given_twice_is_named_with_its_lines(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model:\n  cells: 1\n  layers: 2\n  cells: 3\n")
    with pytest.raises(UserError, match=r"config\.yaml: the key 'cells' is given twice, in lines 2 and 4"):
        config.load(tmp_path / "config.yaml")


def test_two_strategies_of_one_run_name_are_refused() -> None:
    two = config.complete({"comparison": {"strategies": ["x/s.py:S", "x_s.py:S"]}})
    with pytest.raises(UserError, match=r"'x/s.py:S' and 'x_s.py:S' have one run name, x_s.py_S-L4-B32-S0"):
        config.runs(two)


def test_a_strategy_by_path_gives_its_runs_its_name(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text('class Mine:\n    name = "mine"\n')
    entry = {"strategy": f"{path}:Mine", "tau": 8}
    found = config.runs(config.complete({"comparison": {"strategies": [entry]}}))
    assert [(run.label, run.name) for run in found] == [("mine-tau=8", "mine-tau=8-L4-B32-S0")]


@pytest.mark.parametrize("preset", config.MODELS)
def test_what_is_given_overrides_the_preset_and_nothing_else_does(preset: str) -> None:
    plain = config.complete({"model": {"preset": preset}})
    assert plain.model.shape == config.MODELS[preset]
    assert plain.training == config.TRAININGS[preset]
    assert plain.plain()["training"] == {}
    changes = {"model": {"preset": preset, "cells": 7}, "training": {"augment": {"warp": 0.1}}}
    given = config.complete(changes)
    assert given.model.shape == config.MODELS[preset].model_copy(update={"cells": 7})
    assert given.training.augment.stretch == config.TRAININGS[preset].augment.stretch
    assert {key: given.plain()[key] for key in changes} == changes


def test_every_preset_can_be_trained() -> None:
    for preset, training in config.TRAININGS.items():
        assert training.chunk_frames % config.MODELS[preset].subsampling == 0


def test_every_key_is_described_in_the_schema() -> None:
    for name, section in config.Config.model_json_schema()["$defs"].items():
        for key, field in section["properties"].items():
            assert field.get("description"), f"{name}.{key}"


def test_reading_a_configuration_imports_neither_torch_nor_mlflow() -> None:
    code = "import dasr.config, dasr.planning.check, sys; print({'torch', 'mlflow'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_local_batch_grows_the_batch_with_the_learners() -> None:
    comparison = {"strategies": ["sd", "single"], "learners": [1, 4], "local_batch": [8]}
    found = config.runs(config.complete({"comparison": comparison}))
    sizes = [("sd", 1, 8), ("sd", 4, 32), ("single", 1, 8), ("single", 1, 32)]
    assert [(run.strategy, run.learners, run.batch) for run in found] == sizes
