"""`dasr corpus`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dasr.config import complete
from dasr.corpora.command import corpus, make
from dasr.errors import UserError
from tests.support.corpora import config, settings


def test_fewer_shards_than_before_leave_no_features_of_the_others_behind(data: Path) -> None:
    results = data.parent / "results"
    kept, gone = (results / "features" / "fbank" / "train" / number for number in ("0001", "0002"))
    kept.mkdir(parents=True)
    gone.mkdir()
    plain = config(results, **settings(data)).plain()
    make(complete({**plain, "features": {"shards": {"train": 2, "dev": 1, "test": 1}}}))
    assert kept.is_dir() and not gone.exists()


def test_too_many_shards_for_the_speakers_is_one_line_on_the_command_line(data: Path) -> None:
    path = data.parent / "config.yaml"
    path.write_text(config(data.parent / "r", shards=9, **settings(data)).text())
    result = CliRunner().invoke(corpus, ["--config", str(path)])
    assert isinstance(result.exception, UserError)
    assert "features.shards.train is 9, but train has only 3 speakers" in str(result.exception)
