"""The view of MLflow's pages that the printed address opens."""

import json

from dasr.tracking import view
from dasr.tracking.metrics import GROUPS


def test_the_addresses_name_the_experiment_and_the_view() -> None:
    found = view.addresses("http://host:5000/", "7")
    assert found == {
        "runs": "http://host:5000/#/experiments/7/runs?viewStateShareKey=comparison",
        "charts": "http://host:5000/#/experiments/7/runs?viewStateShareKey=comparison&compareRunsMode=CHART",
    }
    assert view.TAG.endswith(".comparison"), "MLflow looks for the view under that key"


def test_word_errors_and_held_out_loss_come_first() -> None:
    shown = json.loads(view.shared_view("abc"))
    assert [section["name"] for section in shown["compareRunSections"]][:2] == ["wer/test", "heldout"]
    assert shown["selectedColumns"][:3] == [
        "metrics.`wer/test/unigram`", "metrics.`wer/test/ngram`", "metrics.`heldout/ce`",
    ]  # fmt: skip
    assert shown["searchFilter"] == "tags.`mlflow.parentRunId` = 'abc'"


def test_every_chart_is_in_a_section_that_exists() -> None:
    shown = json.loads(view.shared_view("abc"))
    sections = {section["uuid"] for section in shown["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in shown["compareRunCharts"]} <= sections
    assert set(view.FOLDED) < set(GROUPS)
