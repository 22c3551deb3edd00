"""Where the acoustic model's features are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.config import complete
from dasr.errors import UserError
from dasr.results import layout


def test_finished_shards_are_given_in_order(tmp_path: Path) -> None:
    config = complete({"results": str(tmp_path), "features": {"kind": "fbank"}})
    for name in ("0001", "0000", "0002", "other"):
        (tmp_path / "features" / "fbank" / "dev" / name).mkdir(parents=True)
        if name != "0002":  # this one has no manifest: it is not finished
            (tmp_path / "features" / "fbank" / "dev" / name / "manifest.json").touch()
    assert [folder.name for folder in layout.model_shards(config, "dev")] == ["0000", "0001"]


@pytest.mark.parametrize(("kind", "stage"), [("fmllr", "dasr adapt"), ("fbank", "dasr features fbank")])
def test_the_stage_that_makes_missing_features_is_named(tmp_path: Path, kind: str, stage: str) -> None:
    config = complete({"results": str(tmp_path), "features": {"kind": kind}})
    with pytest.raises(UserError, match=f"run `{stage} --split train`"):
        layout.model_shards(config, "train")
