"""What the search is told about a model's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dasr.config import FRAME_SHIFT_S
from dasr.decoding import outputs
from dasr.results.layout import model_shards
from dasr.tasks.transcribed import TranscribedShards
from tests.support import transcribed_corpus
from tests.support.transcribed_corpus import ctc_config


def test_ctc_tries_every_scale_with_every_blank_penalty_and_has_no_priors(
    tmp_path: Path,
) -> None:
    config = ctc_config(transcribed_corpus.make(tmp_path))
    model = TranscribedShards.of(config, "dev").model(config)
    found = outputs.of(config, model)
    section = config.decoding
    assert len(found.settings) == len(section.acoustic_scales) * len(section.blank_penalties)
    assert found.shift_s == FRAME_SHIFT_S * model.subsampling
    _, scores = next(found.scores(model_shards(config, "dev")))
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
