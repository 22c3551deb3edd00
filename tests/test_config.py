"""config.yaml: what it accepts, what it refuses, and the runs that it asks for."""

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
        ({"comparison": {"learners": [0]}}, "comparison.learners.0: 0 is below the minimum of 1"),
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
