"""Speaker-adapted features of training data: adapted along the transcripts, each speaker by its own map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasr.adaptation import features
from dasr.errors import UserError
from dasr.features.store import Shard
from dasr.hmm.command import graph
from tests.support.small_corpus import call, load


def test_training_features_are_adapted_and_mirror_their_source(small: Path) -> None:
    manifest = features.make(small, "train", "0000")
    adapted = Shard.open(small / "features" / "fmllr" / "train" / "0000")
    source = Shard.open(small / "features" / "mfcc" / "train" / "0000")
    assert manifest["kind"] == "fmllr" and adapted.dim == 40
    assert sorted(adapted.utterances) == sorted(source.utterances)
    assert adapted.num_frames == source.num_frames
    # fMLLR brings every speaker near the mean of the one model
    spread = adapted.speaker_mean.astype(np.float64).std(0)
    assert np.median(spread) < 0.5 and np.isfinite(adapted.frames.astype(np.float32)).all()


def test_other_splits_need_a_first_pass_graph(small: Path) -> None:
    with pytest.raises(UserError):
        features.make(small, "test", "0000")


@pytest.mark.slow
def test_a_first_pass_recognises_the_same_with_one_process_and_with_two(small: Path) -> None:
    call(graph, small, "unigram")
    given, system = load(small)
    first = system.speaker_independent
    assert first is not None
    hclg = small / "graphs" / "unigram" / "HCLG.fst"
    one, two = (features.first_pass_words(given, first, hclg, jobs) for jobs in (1, 2))
    assert one == two and sum(map(bool, one)) > len(one) / 2
