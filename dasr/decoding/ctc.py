"""Scores of CTC's outputs for the search: log-posteriors as they are, without priors.

Blanks are learned as most probable nearly everywhere, which costs words: the search takes a penalty from
their log-probability, chosen on dev with the acoustic scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dasr.errors import UserError

if TYPE_CHECKING:
    from dasr.models.acoustic import AcousticModel

FloatArray = npt.NDArray[np.float32]


def scores(shards: Iterable[Path], model: AcousticModel) -> Iterator[tuple[str, FloatArray]]:
    """Each utterance of feature shards: its id and float32 [num_outputs, num_units] log-posteriors.

    Raises UserError on NaN."""
    import torch

    from dasr.features.store import Shard

    for path in shards:
        shard = Shard.open(path)
        for number, name in enumerate(shard.utterances):
            found = model.whole(torch.from_numpy(shard.normalised(number))).numpy()
            if not np.isfinite(found).all():
                raise UserError(f"the model's output for {name} ({path}) is not finite: training diverged?")
            yield name, found
