"""Deltas: the slope of each feature over five frames, and the slope of the slopes, as Kaldi's add-deltas
computes them by default.

The GMM wants those of whole utterances, the network those of chunks that bring their context. Each keeps its
own order of additions: alignments and weights are reproducible to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

REACH = 2  # frames either side of one


def of_utterance(frames: NDArray[np.float32], orders: int = 2) -> NDArray[np.float32]:
    """float32 [num_frames, dim] -> [num_frames, (1 + orders) dim]: static features, then each order's. The
    first and the last frame are repeated beyond the ends. Computed in float64."""
    ramp = np.arange(-REACH, REACH + 1) / (2 * sum(n * n for n in range(1, REACH + 1)))
    blocks, taps = [frames], np.ones(1)
    for _ in range(orders):
        taps = np.convolve(taps, ramp)
        blocks.append(_filtered(frames, taps))
    return np.concatenate(blocks, axis=1)


def of_chunks(frames: Tensor, orders: int) -> Tensor:
    """[chunks, T, dim] -> [chunks, T - 4 * orders, (1 + orders) dim] of the frames with context."""
    import torch  # not above: the stages of the GMM do without it, which starts them twice as fast

    parts = [frames]
    for _ in range(orders):
        x = parts[-1]
        parts.append((2 * (x[:, 4:] - x[:, :-4]) + x[:, 3:-1] - x[:, 1:-3]) / 10)
    shortest = parts[-1].shape[1]
    cut = [(part.shape[1] - shortest) // 2 for part in parts]
    return torch.cat([part[:, c : c + shortest] for part, c in zip(parts, cut, strict=True)], dim=2)


def _filtered(frames: NDArray[np.float32], taps: NDArray[np.float64]) -> NDArray[np.float32]:
    reach = len(taps) // 2
    padded = np.concatenate([np.repeat(frames[:1], reach, 0), frames, np.repeat(frames[-1:], reach, 0)])
    terms = [tap * padded[n : n + len(frames)] for n, tap in enumerate(taps)]
    return np.asarray(np.sum(terms, axis=0), np.float32)
