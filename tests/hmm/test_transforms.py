"""LDA and MLLT on data whose best transform is known."""

from __future__ import annotations

import numpy as np

from dasr.hmm.transforms import lda, mllt


def test_lda_whitens_within_classes_and_finds_the_direction_in_which_they_differ() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(4, 4))
    labels = rng.integers(0, 3, 20_000)
    means = np.zeros((3, 4))
    means[:, 2] = [-8, 0, 8]  # before mixing, classes differ along axis 2 alone
    frames = ((means[labels] + rng.normal(size=(20_000, 4))) @ mix.T).astype(np.float32)
    labels[:1000] = -1  # left out
    matrix = lda(frames, labels, 2)
    projected = frames[1000:] @ matrix.T
    within = np.concatenate(
        [projected[labels[1000:] == c] - projected[labels[1000:] == c].mean(0) for c in range(3)]
    )
    np.testing.assert_allclose(np.cov(within.T), np.eye(2), atol=0.02)
    direction = np.abs(matrix @ mix)[0]  # of the first dimension, in the axes before mixing
    np.testing.assert_allclose(direction, [0, 0, 1, 0], atol=0.05)


def test_mllt_diagonalises_covariances_that_one_map_made() -> None:
    rng = np.random.default_rng(1)
    true = rng.normal(size=(3, 3)) + 2 * np.eye(3)
    variances = rng.uniform(0.2, 3, (5, 3))  # of five Gaussians, diagonal before the map
    counts = np.full(5, 100.0)
    covariances = [true @ np.diag(v) @ true.T for v in variances]
    # G_d sums, over Gaussians, count / (variance of d after the map) * covariance
    matrix = np.eye(3)
    for _ in range(50):
        after = [np.diag(matrix @ covariance @ matrix.T) for covariance in covariances]
        statistics = np.stack(
            [sum(n / a[d] * c for n, a, c in zip(counts, after, covariances, strict=True)) for d in range(3)]
        )
        matrix = mllt(statistics, counts.sum())
    for covariance in covariances:
        turned = matrix @ covariance @ matrix.T
        off = turned - np.diag(np.diag(turned))
        assert np.abs(off).max() < 1e-3 * np.abs(turned).max()
