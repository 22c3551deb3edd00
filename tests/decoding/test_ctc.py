"""Scores of CTC for the search: the blank's penalty, chosen on dev."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dasr.decoding import ctc
from dasr.errors import UserError
from dasr.tasks.transcribed import TranscribedShards
from tests.support import transcribed_corpus
from tests.support.transcribed_corpus import ctc_config


class Sure:
    """Knows every utterance of dev, but gives its units a log-probability of 1.5 less than the blank's."""

    def __init__(self, answers: list[Tensor], outputs: int):
        self.answers, self.outputs = answers, outputs
        self.asked = 0

    def whole(self, frames: Tensor) -> Tensor:
        units = self.answers[self.asked % len(self.answers)]
        self.asked += 1
        scores = torch.full((2 * len(units), self.outputs), -9.0)
        scores[::2, 0] = -0.1
        scores[1::2, 0] = -0.1
        scores[torch.arange(len(units)) * 2, units] = -1.6
        return scores


def test_the_penalty_is_the_smallest_with_which_the_units_of_dev_come_out(tmp_path: Path) -> None:
    config = ctc_config(transcribed_corpus.make(tmp_path))
    dev = TranscribedShards.of(config, "dev")
    model = Sure([units for _, units in dev.utterances()], len(dev.units.symbols))
    assert ctc.best_penalty(config, model, [4, 0, 2, 1]) == 2  # type: ignore[arg-type]


def test_scores_are_log_posteriors_less_the_penalty_and_nan_is_an_error(tmp_path: Path) -> None:
    config = ctc_config(transcribed_corpus.make(tmp_path))
    model = TranscribedShards.of(config, "dev").model(config)
    plain, less = (dict(ctc.scores(config, model, "dev", penalty)) for penalty in (0.0, 2.0))
    assert len(plain) == 9
    for name, scores in plain.items():
        np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
        np.testing.assert_allclose(scores - less[name], [[2, 0, 0, 0, 0]] * len(scores), atol=1e-6)
    for parameter in model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(UserError, match="not finite: training diverged"):
        next(ctc.scores(config, model, "dev", 0.0))
