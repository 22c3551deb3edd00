"""What the GMM sees: MFCCs with per-speaker cepstral mean removed, then deltas, or spliced frames times a
matrix.

Deltas are Kaldi's (regression over 2 frames either side, applied twice); edges repeat the first and last
frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
DELTA_WINDOW = 2
SPLICE = 4  # frames of context either side before the LDA


def shifted(frames: Floats, by: int) -> Floats:
    """Row t is frame t + by, edges repeated."""
    return frames[np.clip(np.arange(len(frames)) + by, 0, len(frames) - 1)]


def _filtered(frames: Floats, taps: NDArray[np.float64]) -> Floats:
    reach = len(taps) // 2
    padded = np.concatenate([np.repeat(frames[:1], reach, 0), frames, np.repeat(frames[-1:], reach, 0)])
    shares = [tap * padded[n : n + len(frames)] for n, tap in enumerate(taps)]
    return np.asarray(np.sum(shares, axis=0), np.float32)


def deltas(frames: Floats, order: int = 2) -> Floats:
    """(x, first, second... differences): float32 [num_frames, (order + 1) dim]."""
    ramp = np.arange(-DELTA_WINDOW, DELTA_WINDOW + 1) / (2 * sum(n * n for n in range(1, DELTA_WINDOW + 1)))
    blocks, taps = [frames], np.ones(1)
    for _ in range(order):
        taps = np.convolve(taps, ramp)
        blocks.append(_filtered(frames, taps))
    return np.concatenate(blocks, axis=1)


def spliced(frames: Floats, context: int = SPLICE) -> Floats:
    """Frames t - context ... t + context side by side: float32 [num_frames, (2 context + 1) dim]."""
    return np.concatenate([shifted(frames, by) for by in range(-context, context + 1)], axis=1)


@dataclass(frozen=True)
class Frontend:
    """From mean-normalised MFCCs of one utterance to the GMM's input. matrix: `final.mat` [dim, spliced dim],
    or None.
    """

    matrix: Floats | None = None

    def __call__(self, frames: NDArray[Any]) -> Floats:
        frames = frames.astype(np.float32, copy=False)
        return deltas(frames) if self.matrix is None else spliced(frames) @ self.matrix.T
