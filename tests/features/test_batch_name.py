"""Which utterances a batch of chunks is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasr.features.feed import Feed
from dasr.features.store import Shard
from tests.features.test_feed import make_shards


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_a_batch_is_named_by_the_utterances_of_its_chunks_over_pools_and_epochs(
    tmp_path: Path, batch: int
) -> None:
    features, alignments = make_shards(tmp_path, 5)
    feed = Feed(features, alignments, 4, batch, 1, 2, seed=3, pool_shards=2)
    opened = [Shard.open(folder) for folder in features]
    for _ in range(200 // batch):
        frames = feed.next().frames[:, 0].long().tolist()  # (shard, frame in shard, speaker)
        expected = []
        for shard, frame, _ in frames:
            row = int(np.searchsorted(opened[shard].offsets, frame, side="right")) - 1
            expected.append(opened[shard].utterances[row])
        assert feed.describe().utterances() == list(dict.fromkeys(expected))
    position = feed.state_dict()["position"]
    assert str(feed.describe()).startswith(f"of chunks {position - batch} to {position - 1} of epoch ")
    assert f"of utterances {expected[0]}" in str(feed.describe())
    feed.close()
