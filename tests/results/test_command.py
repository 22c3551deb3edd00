"""`dasr results diff` prints a line a run and language model."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dasr.cli import dasr
from tests.support import synthetic


def test_the_table_has_a_line_a_pair_and_names_the_difference(tmp_path: Path) -> None:
    folder = str(synthetic.make(tmp_path, strategies=["single", "ad"], seeds=[0]).parent / "results")
    run = CliRunner().invoke(dasr, ["results", "diff", folder, folder, "--tsv"], catch_exceptions=False)
    assert run.exit_code == 0
    head, *lines = run.output.splitlines()
    assert head.split("\t") == ["run", "lm", "before", "after", "difference", "p"]
    assert len(lines) == 4 and all(line.endswith("\t+0.00\t1.0000") for line in lines)
    table = CliRunner().invoke(dasr, ["results", "diff", folder, folder], catch_exceptions=False).output
    assert "B - A" in table and "ad-L4-B32-S0" in table
