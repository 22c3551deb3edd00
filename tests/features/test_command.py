"""`dasr features`: what is typed wrongly. What it makes: test_extraction."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr.config import complete
from dasr.errors import UserError
from dasr.features.command import features


def test_a_shard_that_is_not_a_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(complete({"results": str(tmp_path / "results")}).text())
    given = ["fbank", "--split", "train", "--shard", "first", "--config", str(path)]
    with pytest.raises(UserError, match="--shard first is not a number"):
        CliRunner().invoke(features, given, catch_exceptions=False)
