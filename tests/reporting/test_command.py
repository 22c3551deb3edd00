"""`dasr compare` on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from dasr.errors import UserError
from dasr.reporting.command import compare, report
from tests.support import synthetic


def test_without_what_it_needs_it_says_so_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    error = CliRunner().invoke(compare, ["--show", "--config", str(config)]).exception
    assert isinstance(error, UserError)
    assert re.search(r"run `dasr compare` first", str(error)) and "\n" not in str(error)


def test_a_report_of_nothing_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    error = CliRunner().invoke(report, ["--config", str(config)]).exception
    assert isinstance(error, UserError) and "train first" in str(error)
    assert not (tmp_path / "results").exists()


def test_compare_writes_the_table_that_show_prints_again(tmp_path: Path) -> None:
    config = synthetic.make(tmp_path, strategies=["single"], seeds=[0])
    written, shown = (
        CliRunner().invoke(compare, ["--tsv", *more, "--config", str(config)], catch_exceptions=False)
        for more in ([], ["--show"])
    )
    assert written.output.splitlines()[0].split("\t")[0] == "strategy"
    assert shown.output == written.output
    assert (tmp_path / "results" / "comparison.tsv").is_file()
