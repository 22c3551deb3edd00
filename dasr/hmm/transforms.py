"""Linear feature transforms estimated from an alignment: LDA (Haeb-Umbach and Ney 1992) and MLLT (Gales
1999).

LDA takes spliced frames to few dimensions in which tied states are farthest apart relative to their spread;
MLLT then turns that space so that diagonal covariances fit best. Both as in Kaldi's est-lda and est-mllt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.hmm.gmm import Gmm, SortedFrames

MLLT_SWEEPS = 200


def lda(frames: NDArray[np.float32], classes: NDArray[np.integer[Any]], dim: int) -> NDArray[np.float32]:
    """The LDA matrix [dim, input dim], scaled so that the within-class covariance becomes the identity.

    frames: [num_frames, input dim]; classes: a tied state for each, those below 0 are left out.
    """
    kept = classes >= 0
    order = np.argsort(classes[kept], kind="stable")
    x, labels = frames[kept][order].astype(np.float64), classes[kept][order]
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
    counts = np.diff(np.r_[first, len(labels)])[:, None]
    means = np.add.reduceat(x, first) / counts
    centre = x.mean(0)
    total = (x - centre).T @ (x - centre) / len(x)
    between = (means - centre).T @ (counts * (means - centre)) / len(x)
    within = np.linalg.cholesky(total - between + 1e-8 * np.trace(total) / len(total) * np.eye(len(total)))
    whiten = np.linalg.inv(within)
    _, vectors = np.linalg.eigh(whiten @ between @ whiten.T)
    matrix = vectors[:, ::-1][:, :dim].T @ whiten
    signs = np.sign(
        matrix[np.arange(len(matrix)), np.abs(matrix).argmax(1)]
    )  # eigenvectors have no sign of their own
    return np.asarray(matrix * signs[:, None], np.float32)


def mllt_statistics(gmm: Gmm, frames: SortedFrames) -> tuple[NDArray[np.float64], float]:
    """G [dim, dim, dim] and the number of frames: G_d = sum over frames and Gaussians g of
    posterior / variance_gd * (x - mean_g)(x - mean_g)'."""
    dim = gmm.dim
    total = np.zeros((dim, dim * dim))
    for pdf in map(int, np.flatnonzero(frames.counts)):
        points = frames.of(pdf)
        x = points[:, :dim]
        posteriors, _ = gmm.posteriors(points, pdf)
        here = slice(gmm.starts[pdf], gmm.starts[pdf + 1])
        means = gmm.means[here]
        squares = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        cross = (posteriors.T @ x).astype(np.float64)
        second = (posteriors.T @ squares).astype(np.float64).reshape(-1, dim, dim)
        mixed = cross[:, :, None] * means[:, None, :]
        spread = second - mixed - mixed.transpose(0, 2, 1)
        spread += posteriors.sum(0, dtype=np.float64)[:, None, None] * means[:, :, None] * means[:, None, :]
        total += (1 / gmm.variances[here]).T @ spread.reshape(len(means), -1)
    return total.reshape(dim, dim, dim), float(frames.counts.sum())


def mllt(statistics: NDArray[np.float64], count: float) -> NDArray[np.float64]:
    """The square matrix A that maximises count * log|det A| - 0.5 * sum_d a_d G_d a_d', row by row (Gales
    1999, eq. 16).
    """
    inverses = np.linalg.inv(statistics)
    matrix = np.eye(len(statistics))
    for _ in range(MLLT_SWEEPS):
        before = matrix.copy()
        for row in range(len(matrix)):
            cofactor = np.linalg.inv(matrix)[:, row]
            step = inverses[row] @ cofactor
            matrix[row] = step * np.sqrt(count / (step @ cofactor))
        if np.abs(matrix - before).max() < 1e-6:
            break
    return matrix
