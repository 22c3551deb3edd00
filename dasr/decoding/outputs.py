"""What a model's outputs are to the search: units of CTC, or tied states of the HMM system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasr.config import FRAME_SHIFT_S, Config
from dasr.decoding import ctc, posteriors
from dasr.decoding.hypotheses import Setting
from dasr.decoding.times import WordTimes, word_times
from dasr.results.layout import Layout

if TYPE_CHECKING:
    from dasr.models.acoustic import AcousticModel


@dataclass(frozen=True)
class Outputs:
    """scores: folders of feature shards -> (utterance, float32 [num_outputs, units]) ..."""

    times: WordTimes
    shift_s: float  # seconds from one output to the next
    settings: list[Setting]  # to try on dev
    scores: Callable[[Iterable[Path]], Iterator[tuple[str, Any]]]


def of(config: Config, model: AcousticModel) -> Outputs:
    """Raises UserError where there is no HMM system and one is needed."""
    from dasr.hmm.system import HmmSystem

    scales, penalties = config.decoding.acoustic_scales, config.decoding.blank_penalties
    if config.training.criterion == "ctc":
        grid = [Setting(float(scale), float(penalty)) for penalty in penalties for scale in scales]
        scores = partial(ctc.scores, model=model)
        return Outputs(WordTimes(), FRAME_SHIFT_S * model.subsampling, grid, scores)
    system = HmmSystem.load(Layout.of(config).hmm)
    scores = partial(posteriors.scores, model=model, priors=system.log_priors)
    settings = [Setting(float(scale)) for scale in scales]
    return Outputs(word_times(system), FRAME_SHIFT_S, settings, scores)
