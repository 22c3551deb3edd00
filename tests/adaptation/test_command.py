"""`dasr adapt` on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from dasr.adaptation.command import adapt
from dasr.errors import UserError


def test_without_what_it_needs_it_says_so_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    error = CliRunner().invoke(adapt, ["--split", "test", "--shard", "0", "--config", str(config)]).exception
    assert isinstance(error, UserError)
    assert re.search(r"no phones.txt; run `dasr hmm`", str(error)) and "\n" not in str(error)
