"""The shards of a split with their transcripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dasr.features.store import Shard
from dasr.tasks.transcribed import TranscribedShards
from tests.support.transcribed_corpus import DIM, ctc_config


def test_utterances_have_their_frames_and_the_characters_of_their_words(transcribed: Path) -> None:
    data = TranscribedShards.of(ctc_config(transcribed), "dev")
    assert data.feature_dim == DIM
    text = (transcribed / "corpus/dev/text").read_text().splitlines()
    shard = Shard.open(transcribed / "features/fbank/dev/0000")
    spelt = {line.split()[0]: line.split(maxsplit=1)[1] for line in text}
    symbols = data.units.symbols
    found = list(data.utterances())
    assert len(found) == len(shard.utterances) == 9
    for number, (frames, units) in enumerate(found):
        np.testing.assert_array_equal(frames.numpy(), shard.normalised(number))
        said = "".join(symbols[unit] for unit in units.tolist())
        letters = [letter for letter in said if letter in "ABC"]
        assert "".join(letters) == spelt[shard.utterances[number]].replace(" ", "")
        assert units.dtype == torch.int64
