"""Frames of several shards in memory, and the chunks that are cut from them."""

from pathlib import Path

import numpy as np

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
