"""Names and values of what MLflow shows as numbers."""

import dataclasses
from pathlib import Path

import pytest

from dasr import config as dasr_config
from dasr.results import comparison, records
from dasr.tracking.metrics import GROUPS, POINTS, at_the_end, points


@pytest.fixture(scope="module")
def compared(made: Path) -> list[tuple[records.RunRecord, comparison.Row]]:
    config = dasr_config.load(made)
    found = records.read_comparison(config)
    return list(zip(found.runs, comparison.rows(found, Path(config.results)), strict=True))


def test_every_metric_is_in_a_group_and_each_group_has_some(
    compared: list[tuple[records.RunRecord, comparison.Row]],
) -> None:
    names = {point.key for record, row in compared for point in points(record, row, 0)}
    assert {name.rpartition("/")[0] for name in names} == set(GROUPS)


def test_every_language_model_has_an_interval_around_its_word_error_rate(
    compared: list[tuple[records.RunRecord, comparison.Row]],
) -> None:
    for record, row in compared:
        found = at_the_end(record, row)
        for lm in ("unigram", "ngram"):
            low, high = found[f"wer/interval/{lm}_low"], found[f"wer/interval/{lm}_high"]
            assert low <= found[f"wer/test/{lm}"] <= high


def test_a_point_says_how_much_was_seen_and_when(
    compared: list[tuple[records.RunRecord, comparison.Row]],
) -> None:
    record, row = compared[0]
    curve = [point for point in points(record, row, 5_000) if point.key == "heldout/ce"]
    assert [point.step for point in curve] == [one["samples"] for one in record.heldout]
    passed = [(point.timestamp - 5_000) / 1000 for point in curve]
    assert passed == pytest.approx([one["seconds"] for one in record.heldout], abs=0.002)
    assert [point.value for point in curve] == pytest.approx([one["ce"] for one in record.heldout], rel=5e-5)


def test_what_the_machine_did_is_in_the_group_that_mlflow_shows_apart(
    compared: list[tuple[records.RunRecord, comparison.Row]],
) -> None:
    record, row = compared[0]
    use = {"samples": 32, "seconds": 1.5, "cpu_percent": 87.5, "process_memory_mb": 250.0}
    record = dataclasses.replace(record, train=[], heldout=[], system=[use])
    found = {(p.key, p.value, p.step) for p in points(record, row, 0) if p.key.startswith("system/")}
    assert found == {
        ("system/cpu_utilization_percentage", 87.5, 32),
        ("system/process_memory_usage_megabytes", 250.0, 32),
    }


def test_a_long_training_curve_is_thinned(compared: list[tuple[records.RunRecord, comparison.Row]]) -> None:
    record, row = compared[0]
    record = records.RunRecord(
        record.run, record.folder, {}, [], record.train[:1] * (3 * POINTS), [], record.scores
    )
    curve = [point for point in points(record, row, 0) if point.key == "train/loss"]
    assert POINTS / 2 < len(curve) <= POINTS
