"""Scaled likelihoods for the search: the consensus model's log-posteriors minus the states' log-priors.

A hybrid system's acoustic score is log p(x|s) = log p(s|x) - log p(s) + constant; p(s) is how often the
alignment of the training set has the tied state s (HmmSystem.log_priors).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dasr.config import Config
from dasr.errors import UserError
from dasr.results.layout import model_shards

if TYPE_CHECKING:
    from dasr.models.acoustic import AcousticModel

TOGETHER = 64  # utterances given to the model at once
FloatArray = npt.NDArray[np.float32]


def scores(
    shards: Iterable[Path], model: AcousticModel, priors: FloatArray
) -> Iterator[tuple[str, FloatArray]]:
    """Each utterance of feature shards: its id and float32 [num_frames, num_pdfs] log-likelihoods + constant.

    `priors`: float32 [num_pdfs], log p(state). One shard is in memory at a time. Raises UserError where
    model and HMM system do not fit, or on NaN."""
    import torch

    from dasr.features.store import Shard

    for path in shards:
        shard = Shard.open(path)
        for first in range(0, len(shard.utterances), TOGETHER):
            names = shard.utterances[first : first + TOGETHER]
            frames = [torch.from_numpy(shard.normalised(first + k)) for k in range(len(names))]
            for name, found in zip(names, model.log_posteriors_of(frames), strict=True):
                posteriors = found.numpy()
                if posteriors.shape[1] != len(priors):
                    raise UserError(
                        f"the model has {posteriors.shape[1]} outputs, the HMM system {len(priors)} tied "
                        "states: they come from different trees; train again"
                    )
                if not np.isfinite(posteriors).all():
                    raise UserError(
                        f"the model's output for {name} ({path}) is not finite: training diverged?"
                    )
                yield name, posteriors - priors


def count(config: Config, split: str) -> int:
    """Utterances in a split's shards."""
    from dasr.features.store import read_manifest

    return sum(int(read_manifest(path)["num_utterances"]) for path in model_shards(config, split))
