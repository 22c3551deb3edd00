"""`dasr hmm` on the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.hmm.command import align, hmm


def test_without_what_it_needs_it_says_so_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    error = CliRunner().invoke(hmm, ["--config", str(config)]).exception
    assert isinstance(error, UserError)
    assert re.search(r"cannot read the lexicon .*lexicon.txt", str(error)) and "\n" not in str(error)


@pytest.mark.parametrize("wrong", [["--shard", "-1"], ["--split", "tarin"]])
def test_a_shard_that_cannot_be_is_refused_before_anything_is_read(wrong: list[str]) -> None:
    result = CliRunner().invoke(align, ["--split", "train", "--shard", "0", *wrong, "--config", "none"])
    assert result.exit_code == 2 and "Invalid value" in result.output
