"""The input of the GMM: MFCCs with per-speaker cepstral mean removed, then deltas, or spliced frames times a
matrix. At its ends an utterance is continued by its first and its last frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.features import deltas

Floats = NDArray[np.float32]
SPLICE = 4  # frames of context either side before the LDA


def shifted(frames: Floats, by: int) -> Floats:
    """Row t is frame t + by, edges repeated."""
    return frames[np.clip(np.arange(len(frames)) + by, 0, len(frames) - 1)]


def spliced(frames: Floats, context: int = SPLICE) -> Floats:
    """Frames t - context ... t + context side by side: float32 [num_frames, (2 context + 1) dim]."""
    return np.concatenate([shifted(frames, by) for by in range(-context, context + 1)], axis=1)


@dataclass(frozen=True)
class GmmInput:
    """From mean-normalised MFCCs of one utterance to the GMM's input. matrix: `final.mat` [dim, spliced dim],
    or None.
    """

    matrix: Floats | None = None

    def __call__(self, frames: NDArray[Any]) -> Floats:
        frames = frames.astype(np.float32, copy=False)
        return deltas.of_utterance(frames) if self.matrix is None else spliced(frames) @ self.matrix.T
