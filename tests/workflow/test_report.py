"""`snakemake --report report.zip` of a finished comparison."""

import json
import re
import zipfile
from typing import Any

import pytest

from dasr.reporting.page import DRAWINGS
from tests.workflow.conftest import REPOSITORY, Project

CAPTIONS = REPOSITORY / "workflow" / "report"


def test_every_figure_has_a_caption() -> None:
    known = set(re.findall(r'^  "(\w+)":', (CAPTIONS / "figure.rst").read_text(), re.MULTILINE))
    assert known == {drawing.name for drawing in DRAWINGS} | {"speedup"}


@pytest.mark.slow
def test_the_report_holds_table_figures_and_where_each_comes_from(finished: Project) -> None:
    finished.snakemake("--report", "report.zip")
    archive = zipfile.ZipFile(finished.folder / "report.zip")
    page = archive.read("report/report.html").decode()
    shown = results(page)
    figures = {path.name for path in (finished.folder / "results" / "figures").glob("*.svg")}
    assert {"wer.svg", "heldout_seconds.svg", "speedup.svg"} <= figures
    assert {one["name"] for one in shown.values()} == figures | {
        "comparison.tsv", "report.html", "speedup.jsonl",
    }  # fmt: skip
    table = shown["results/comparison.tsv"]
    assert (
        archive.read(f"report/{table['data_uri']}")
        == (finished.folder / "results" / "comparison.tsv").read_bytes()
    )
    assert "p value against" in table["caption"]
    assert table["job_properties"]["rule"] == "compare"
    assert all(one["job_properties"]["rule"] and one["caption"] for one in shown.values())


def results(page: str) -> dict[str, dict[str, Any]]:
    """The results that the page of the report knows, by path."""
    start = re.search(r'<script id="results">\s*var results = ', page)
    assert start, "Snakemake's page has changed"
    found, _ = json.JSONDecoder().raw_decode(page[start.end() :])
    assert isinstance(found, dict)
    return found
