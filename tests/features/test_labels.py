"""Label shards that do not fit are refused."""

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.files import write_json
from tests.features.test_feed import make_shards


def test_alignments_of_other_features_are_refused(tmp_path: Path) -> None:
    features, alignments = make_shards(tmp_path, 2)
    with pytest.raises(UserError, match="made from other features"):
        Feed(features, alignments[::-1], 5, 4, 0, 1, seed=0).next()


def test_labels_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    features, alignments = make_shards(tmp_path, 1)
    write_json(alignments[0] / "manifest.json", {"rejected": [], "checksum": "crc32:00000000"})
    with pytest.raises(UserError, match=r"labels.zarr does not have the checksum of its manifest"):
        Feed(features, alignments, 5, 4, 0, 1, seed=0).next()
