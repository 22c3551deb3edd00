"""Scores of CTC for the search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasr.decoding import ctc
from dasr.errors import UserError
from dasr.results.layout import model_shards
from dasr.tasks.transcribed import TranscribedShards
from tests.support import transcribed_corpus
from tests.support.transcribed_corpus import ctc_config


def test_scores_are_log_posteriors_and_nan_is_an_error(tmp_path: Path) -> None:
    config = ctc_config(transcribed_corpus.make(tmp_path))
    model = TranscribedShards.of(config, "dev").model(config)
    found = dict(ctc.scores(model_shards(config, "dev"), model))
    assert len(found) == 9
    for scores in found.values():
        np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite: training diverged"):
        next(ctc.scores(model_shards(config, "dev"), model))
