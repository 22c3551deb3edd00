"""The GMM against plain recursions in NumPy float64, one frame and one Gaussian at a time."""

import numpy as np
import pytest

from dasr.hmm.gmm import (
    MIN_OCCUPANCY,
    VARIANCE_FLOOR,
    Gmm,
    SortedFrames,
    accumulate,
    extended,
    maximise,
    split,
)

DIM = 5


@pytest.fixture
def gmm() -> Gmm:
    rng = np.random.default_rng(1)
    starts = np.array([0, 3, 4, 6])
    weights = np.concatenate([rng.dirichlet(np.full(n, 9.0)) for n in np.diff(starts)])
    return Gmm(weights, 0.5 * rng.normal(size=(6, DIM)), rng.uniform(0.5, 2, (6, DIM)), starts)


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(1500, DIM)).astype(np.float32)


def density(gmm: Gmm, g: int, x: np.ndarray) -> float:
    m, v = gmm.means[g], gmm.variances[g]
    return float(gmm.weights[g] * np.prod(np.exp(-((x - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)))


def test_log_likelihoods_equal_the_sum_of_densities(gmm: Gmm, frames: np.ndarray) -> None:
    chosen = np.array([2, 0])
    found = gmm.log_likelihoods(extended(frames[:20]), chosen)
    for t in range(20):
        for column, pdf in enumerate(chosen):
            components = range(gmm.starts[pdf], gmm.starts[pdf + 1])
            expected = np.log(sum(density(gmm, g, frames[t].astype(float)) for g in components))
            assert found[t, column] == pytest.approx(expected, abs=1e-4)


def test_one_em_update_equals_the_recursion_written_frame_by_frame(gmm: Gmm, frames: np.ndarray) -> None:
    pdfs = np.random.default_rng(3).integers(-1, 3, len(frames))  # -1: rejected
    statistics = accumulate(gmm, SortedFrames.sort(frames, pdfs, 3))
    occupancy, first, second, total = np.zeros(6), np.zeros((6, DIM)), np.zeros((6, DIM)), 0.0
    for x, pdf in zip(frames.astype(float), pdfs, strict=True):
        if pdf < 0:
            continue
        members = range(gmm.starts[pdf], gmm.starts[pdf + 1])
        scores = {g: density(gmm, g, x) for g in members}
        total += np.log(sum(scores.values()))
        for g in members:
            share = scores[g] / sum(scores.values())
            occupancy[g] += share
            first[g] += share * x
            second[g] += share * x * x
    assert statistics.log_likelihood == pytest.approx(total, rel=1e-5)
    assert occupancy.min() > MIN_OCCUPANCY
    updated = maximise(gmm, statistics)
    means = first / occupancy[:, None]
    np.testing.assert_allclose(updated.means, means, atol=1e-4)
    np.testing.assert_allclose(updated.variances, second / occupancy[:, None] - means**2, atol=1e-4)
    state_totals = np.add.reduceat(occupancy, gmm.starts[:-1])
    np.testing.assert_allclose(updated.weights, occupancy / np.repeat(state_totals, [3, 1, 2]), atol=1e-5)


def test_em_never_lowers_the_likelihood_and_splitting_keeps_weights_normal(
    gmm: Gmm, frames: np.ndarray
) -> None:
    pdfs = np.arange(len(frames)) % 3
    order = SortedFrames.sort(frames, pdfs, 3)
    before = -np.inf
    for _ in range(5):
        statistics = accumulate(gmm, order)
        assert statistics.log_likelihood >= before - 1e-3
        before = statistics.log_likelihood
        gmm = maximise(gmm, statistics)
    grown = split(gmm, order.counts, 12, np.random.default_rng(0))
    assert len(grown.weights) == 12
    np.testing.assert_allclose(np.add.reduceat(grown.weights, grown.starts[:-1]), 1)


def test_a_component_without_data_is_dropped_and_a_state_without_data_keeps_its_own(gmm: Gmm) -> None:
    frames = np.tile(gmm.means[0], (50, 1)).astype(np.float32)
    far = Gmm(gmm.weights, gmm.means + np.array([[0], [50], [90], [0], [0], [0]]), gmm.variances, gmm.starts)
    updated = maximise(far, accumulate(far, SortedFrames.sort(frames, np.zeros(50, int), 3)))
    assert np.diff(updated.starts).tolist() == [1, 1, 1]
    np.testing.assert_allclose(updated.means[0], gmm.means[0], atol=1e-5)
    np.testing.assert_allclose(updated.variances[0], VARIANCE_FLOOR)
    np.testing.assert_allclose(updated.means[1], gmm.means[3])
