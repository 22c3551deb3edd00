"""`dasr track` on the command line."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from dasr.errors import UserError
from dasr.tracking.command import track


def test_without_what_it_needs_it_says_so_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    error = CliRunner().invoke(track, ["--config", str(config)]).exception
    assert isinstance(error, UserError)
    assert re.search(r"train first", str(error)) and "\n" not in str(error)
