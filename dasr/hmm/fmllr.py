"""Speaker adaptation of the features: fMLLR (constrained MLLR; Gales 1998), one affine map a speaker.

W = [A b] maximises the likelihood of x' = A x + b under the GMM along an alignment, Jacobian log|det A|
included. Rows are updated in turn (Gales 1998, appendix B; Kaldi's ComputeFmllrMatrixDiagGmmFull), for all
speakers at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.hmm.gmm import Gmm, extended

MIN_FRAMES = 500.0  # a speaker with fewer keeps the features as they are
SWEEPS = 10

Floats = NDArray[np.float32]


def identity(speakers: int, dim: int) -> Floats:
    """Maps that change nothing: [speakers, dim, dim + 1]."""
    return np.tile(np.eye(dim, dim + 1, dtype=np.float32), (speakers, 1, 1))


def adapted(frames: Floats, matrix: Floats) -> Floats:
    """A x + b for frames [num_frames, dim] and one speaker's [A b], [dim, dim + 1]."""
    return frames @ matrix[:, :-1].T + matrix[:, -1]


def fmllr(
    gmm: Gmm,
    frames: Floats,
    pdfs: NDArray[np.integer[Any]],
    speaker_of: NDArray[np.integer[Any]],
    now: Floats,
) -> Floats:
    """New maps [speakers, dim, dim + 1]. frames: not adapted, [num_frames, dim]; pdfs, speaker_of: of each
    frame; now: the maps under which the GMM's posteriors are taken.
    """
    maps = now.astype(np.float64)
    precisions, targets = _pulls(gmm, frames, pdfs, speaker_of, now)
    linear, squares, counts = [], [], []
    for speaker in range(len(now)):
        mine = np.flatnonzero((speaker_of == speaker) & (pdfs >= 0))
        x = np.concatenate([frames[mine], np.ones((len(mine), 1), np.float32)], axis=1)
        outer = (x[:, :, None] * x[:, None, :]).reshape(len(mine), x.shape[1] ** 2)
        linear.append((targets[mine].T @ x).astype(np.float64))
        squares.append((precisions[mine].T @ outer).astype(np.float64).reshape(-1, x.shape[1], x.shape[1]))
        counts.append(len(mine))
    enough = np.array(counts) >= MIN_FRAMES
    if enough.any():
        beta = np.array(counts, np.float64)[enough]
        maps[enough] = _solve(maps[enough], np.array(linear)[enough], np.array(squares)[enough], beta)
    return maps.astype(np.float32)


def _pulls(
    gmm: Gmm, frames: Floats, pdfs: NDArray[Any], speaker_of: NDArray[Any], now: Floats
) -> tuple[Floats, Floats]:
    """Of each frame: sum over Gaussians of posterior / variance, and of posterior * mean / variance."""
    precisions, targets = np.zeros_like(frames), np.zeros_like(frames)
    moved = np.empty_like(frames)
    for speaker, matrix in enumerate(now):
        mine = speaker_of == speaker
        moved[mine] = adapted(frames[mine], matrix)
    order = np.argsort(pdfs, kind="stable")
    bounds = np.searchsorted(pdfs[order], np.arange(gmm.num_pdfs + 1))
    for pdf in range(gmm.num_pdfs):
        mine = order[bounds[pdf] : bounds[pdf + 1]]
        here = slice(gmm.starts[pdf], gmm.starts[pdf + 1])
        posteriors, _ = gmm.posteriors(extended(moved[mine]), pdf)
        precisions[mine] = posteriors @ (1 / gmm.variances[here]).astype(np.float32)
        targets[mine] = posteriors @ (gmm.means[here] / gmm.variances[here]).astype(np.float32)
    return precisions, targets


def _solve(
    maps: NDArray[np.float64],
    linear: NDArray[np.float64],
    squares: NDArray[np.float64],
    beta: NDArray[np.float64],
) -> NDArray[np.float64]:
    """maps, linear: [S, dim, dim + 1]; squares: [S, dim, dim + 1, dim + 1]; beta: frames, [S]."""
    inverses = np.linalg.inv(squares)
    for _ in range(SWEEPS):
        for row in range(maps.shape[1]):
            cofactor = np.zeros((len(maps), maps.shape[2]))
            cofactor[:, :-1] = np.linalg.inv(maps[:, :, :-1])[:, :, row]
            pulled = np.einsum("sij,sj->si", inverses[:, row], cofactor)
            quadratic = np.einsum("si,si->s", pulled, cofactor)
            mixed = np.einsum("si,si->s", pulled, linear[:, row])
            root = np.sqrt(mixed**2 + 4 * quadratic * beta)
            options = np.stack([(-mixed + root), (-mixed - root)]) / (2 * quadratic)
            value = beta * np.log(np.abs(options * quadratic + mixed) + 1e-300) - 0.5 * options**2 * quadratic
            step = np.where(value[0] >= value[1], options[0], options[1])
            maps[:, row] = step[:, None] * pulled + np.einsum("sij,sj->si", inverses[:, row], linear[:, row])
    return maps
