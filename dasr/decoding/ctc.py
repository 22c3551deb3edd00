"""Scores of CTC's outputs for the search, and the blank's penalty.

Blanks are learned as most probable nearly everywhere, which costs words: a penalty is taken from their
log-probability. It is the one with which the most probable outputs of dev spell the transcripts with the
fewest errors; no search is needed for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dasr.config import Config
from dasr.errors import UserError
from dasr.results.layout import model_shards

if TYPE_CHECKING:
    from dasr.models.acoustic import AcousticModel

FloatArray = npt.NDArray[np.float32]


def scores(
    config: Config, model: AcousticModel, split: str, penalty: float
) -> Iterator[tuple[str, FloatArray]]:
    """Each utterance of a split: its id and float32 [num_outputs, num_units] log-posteriors, the blank's less
    `penalty`. Raises UserError on NaN."""
    import torch

    from dasr.features.store import Shard

    for path in model_shards(config, split):
        shard = Shard.open(path)
        for number, name in enumerate(shard.utterances):
            found = model.whole(torch.from_numpy(shard.normalised(number))).numpy()
            if not np.isfinite(found).all():
                raise UserError(f"the model's output for {name} ({path}) is not finite: training diverged?")
            found[:, 0] -= penalty
            yield name, found


def best_penalty(config: Config, model: AcousticModel, penalties: Sequence[float]) -> float:
    """The penalty with the fewest errors of units on dev; of equal ones the smallest."""
    import torch
    from kaldialign import edit_distance

    from dasr.criteria.totals import greedy
    from dasr.tasks.transcribed import TranscribedShards

    wrong = dict.fromkeys(sorted(penalties), 0)
    for frames, units in TranscribedShards.of(config, "dev").utterances():
        found = model.whole(frames)
        for penalty in wrong:
            less = found - penalty * torch.eye(1, found.shape[1])
            wrong[penalty] += edit_distance(units.tolist(), greedy(less))["total"]
    return min(wrong, key=lambda penalty: wrong[penalty])
