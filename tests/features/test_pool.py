"""Frames of several shards in memory, and the chunks that are cut from them."""

from pathlib import Path

import numpy as np
import pytest

from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.features.pool import chunk_table
from dasr.files import write_json
from tests.features.test_feed import make_shards


def test_chunks_cover_utterances_and_the_last_is_shifted_back() -> None:
    used = np.array([True, True, False])
    table = chunk_table(np.array([0, 10, 13, 20]), np.array([0, 1, 0], np.int32), used, 4)
    assert table.start.tolist() == [0, 4, 6, 10]
    assert table.fresh.tolist() == [0, 4, 8, 10]
    assert table.end.tolist() == [10, 10, 10, 13]
    assert table.speaker.tolist() == [0, 0, 0, 1]


def test_an_utterance_that_the_alignment_rejected_gives_no_chunk(tmp_path: Path) -> None:
    features, alignments = make_shards(tmp_path, 1)
    before = Feed(features, alignments, 5, 1, 0, 1, 0).num_chunks
    write_json(alignments[0] / "manifest.json", {"rejected": [{"utterance": "u0-0", "reason": "too short"}]})
    assert Feed(features, alignments, 5, 1, 0, 1, 0).num_chunks < before


def test_alignments_of_other_features_are_refused(tmp_path: Path) -> None:
    features, alignments = make_shards(tmp_path, 2)
    with pytest.raises(UserError, match="made from other features"):
        Feed(features, alignments[::-1], 5, 4, 0, 1, seed=0).next()


def test_labels_that_are_not_those_of_the_manifest_are_refused(tmp_path: Path) -> None:
    features, alignments = make_shards(tmp_path, 1)
    write_json(alignments[0] / "manifest.json", {"rejected": [], "checksum": "crc32:00000000"})
    with pytest.raises(UserError, match=r"labels.zarr does not have the checksum of its manifest"):
        Feed(features, alignments, 5, 4, 0, 1, seed=0).next()
