"""Reading what runs left behind, whole or not."""

import json
import math
import shutil
from pathlib import Path

import pytest

from dasr import config as dasr_config
from dasr.config import Config
from dasr.errors import UserError
from dasr.results import records
from tests.support import synthetic


@pytest.fixture
def small(tmp_path: Path) -> Config:
    return dasr_config.load(synthetic.make(tmp_path, strategies=["single", "ad"], seeds=[0]))


def folder(config: Config, index: int = 0) -> Path:
    return Path(config.results) / "runs" / dasr_config.runs(config)[index].name


def test_a_last_line_cut_by_a_crash_is_left_out_with_a_note(small: Config) -> None:
    path = folder(small, 1) / "metrics.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-30])
    found = records.read_comparison(small)
    assert len(found.runs[1].learners) == 4 and found.runs[1].summary == {}
    assert [note for note in found.notes if "cut off" in note and str(path) in note]
    assert [note for note in found.notes if "has not finished" in note]


def test_a_broken_line_in_the_middle_is_an_error_with_its_place(small: Config) -> None:
    path = folder(small) / "metrics.jsonl"
    lines = path.read_text().splitlines(True)
    path.write_text("".join([*lines[:2], lines[2][:20] + "\n", *lines[3:]]))
    with pytest.raises(UserError, match=r"metrics\.jsonl:3: .*run that stage again"):
        records.read_comparison(small)


def test_runs_that_are_missing_or_unscored_are_noted_and_the_rest_goes_on(small: Config) -> None:
    shutil.rmtree(folder(small, 1).parents[1] / "decode" / folder(small, 1).name)
    found = records.read_comparison(small)
    assert found.runs[1].scores == {} and [
        n for n in found.notes if "no word error rate with unigram, ngram" in n
    ]
    shutil.rmtree(folder(small, 1))
    found = records.read_comparison(small)
    assert [one.run.strategy for one in found.runs] == ["single"]
    assert [n for n in found.notes if "not trained yet" in n]
    shutil.rmtree(folder(small, 0))
    with pytest.raises(UserError, match="train first"):
        records.read_comparison(small)


def test_values_that_are_no_numbers_leave_curves_but_not_the_rest(small: Config) -> None:
    path = folder(small) / "heldout.jsonl"
    points = [json.loads(line) for line in path.read_text().splitlines()]
    points[-1]["ce"] = float("nan")
    path.write_text("".join(json.dumps(point) + "\n" for point in points))
    record = records.read_comparison(small).runs[0]
    assert len(record.heldout) == len(points)
    assert len(records.finite((p["samples"], p["ce"]) for p in record.heldout)) == len(points) - 1


@pytest.mark.parametrize(
    ("last", "diverged"),
    [
        ({"ce": 1.0, "start_ce": 6.0, "priors_ce": 4.9}, False),
        ({"ce": 5.0, "start_ce": 6.0, "priors_ce": 4.9}, True),  # worse than guessing
        ({"ce": 41.0, "start_ce": 6.0, "priors_ce": None}, True),  # worse than at the start
        ({"ce": 5.0, "start_ce": 6.0, "priors_ce": None}, False),
        ({"ce": math.nan, "start_ce": 6.0, "priors_ce": 4.9}, True),
        ({"ce": 41.0}, False),  # nothing to compare with
    ],
)
def test_a_run_that_ends_above_its_start_or_above_guessing_has_diverged(
    last: dict[str, float | None], diverged: bool
) -> None:
    assert records.has_diverged([{"ce": 50.0, "start_ce": 6.0, "priors_ce": 4.9}, last]) is diverged
    assert not records.has_diverged([])
