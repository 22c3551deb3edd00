"""Diagonal-covariance Gaussian mixtures of all tied states, trained by EM along a fixed state alignment
(Viterbi training).

With x' = (x, x^2, 1), the log-density of a weighted Gaussian is linear in x': one matrix product gives all of
them. Update rules, floors and the splitting of components are Kaldi's (gmm-est, DiagGmm::Split).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
VARIANCE_FLOOR = 1e-3
MIN_OCCUPANCY = 10.0  # frames below which a component is dropped
MIN_WEIGHT = 1e-5
SPLIT_POWER = 0.25  # components a state ~ occupancy^power
SPLIT_MIN_COUNT = 20.0  # frames a component, below which a state is not split further
PERTURBATION = 0.01


def extended(frames: NDArray[Any]) -> Floats:
    """x' = (x, x^2, 1): float32 [num_frames, 2 dim + 1]."""
    x = frames.astype(np.float32, copy=False)
    return np.concatenate([x, x * x, np.ones((len(x), 1), np.float32)], axis=1)


@dataclass(frozen=True)
class Gmm:
    """All mixtures in flat arrays; those of pdf p are [starts[p], starts[p + 1]).

    weights: [num_gaussians] (sum 1 in each pdf); means, variances: [num_gaussians, dim]; starts: int64
    [num_pdfs + 1].
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]
    starts: NDArray[np.int64]

    def __reduce__(self) -> tuple[Any, ...]:
        return Gmm, (self.weights, self.means, self.variances, self.starts)  # what is cached stays behind

    @property
    def num_pdfs(self) -> int:
        return len(self.starts) - 1

    @property
    def dim(self) -> int:
        return int(self.means.shape[1])

    @cached_property
    def coefficients(self) -> Floats:
        """[2 dim + 1, num_gaussians]: x' @ coefficients is log(weight * density)."""
        precisions = 1 / self.variances
        constants = np.log(self.weights) - 0.5 * (
            np.log(2 * np.pi * self.variances) + self.means**2 * precisions
        ).sum(1)
        return np.concatenate(
            [self.means * precisions, -0.5 * precisions, constants[:, None]], axis=1
        ).T.astype(np.float32)

    def log_likelihoods(self, points: Floats, pdfs: NDArray[np.integer[Any]]) -> Floats:
        """log p(x | pdf) for some pdfs. points: x' [num_frames, 2 dim + 1]; returns [num_frames,
        len(pdfs)].
        """
        sizes = self.starts[pdfs + 1] - self.starts[pdfs]
        begins = np.cumsum(sizes) - sizes
        columns = np.arange(int(sizes.sum())) + np.repeat(self.starts[pdfs] - begins, sizes)
        scores = (
            points @ self.coefficients[:, columns]
        ).T  # Gaussians as rows: sums over a pdf's rows are contiguous
        peaks = np.maximum.reduceat(scores, begins, axis=0)
        scores -= np.repeat(peaks, sizes, axis=0)
        np.exp(scores, out=scores)
        return np.ascontiguousarray((peaks + np.log(np.add.reduceat(scores, begins, axis=0))).T)

    def posteriors(self, points: Floats, pdf: int) -> tuple[Floats, NDArray[np.float32]]:
        """Component posteriors [num_frames, components of pdf] and log-likelihoods [num_frames] of frames in
        `pdf`.
        """
        scores = points @ self.coefficients[:, self.starts[pdf] : self.starts[pdf + 1]]
        peak = scores.max(1, keepdims=True)
        scores = np.exp(scores - peak)
        total = scores.sum(1, keepdims=True)
        return scores / total, (peak + np.log(total))[:, 0]

    @classmethod
    def single(cls, means: NDArray[np.float64], variances: NDArray[np.float64]) -> Gmm:
        """One Gaussian a pdf."""
        return cls(
            np.ones(len(means)), means, np.maximum(variances, VARIANCE_FLOOR), np.arange(len(means) + 1)
        )


@dataclass(frozen=True)
class SortedFrames:
    """Frames put in the order of their pdfs, so that each pdf's are a slice.

    points: x' [num_frames, 2 dim + 1], sorted; bounds: int64 [num_pdfs + 1].
    """

    points: Floats
    bounds: NDArray[np.int64]

    @classmethod
    def sort(cls, frames: NDArray[Any], pdfs: NDArray[np.integer[Any]], num_pdfs: int) -> SortedFrames:
        """frames: [num_frames, dim]; pdfs: [num_frames], those below 0 (rejected utterances) are left out."""
        kept = np.flatnonzero(pdfs >= 0)
        order = kept[np.argsort(pdfs[kept], kind="stable")]
        bounds = np.searchsorted(pdfs[order], np.arange(num_pdfs + 1))
        return cls(extended(frames[order]), bounds)

    @property
    def counts(self) -> NDArray[np.int64]:
        return np.diff(self.bounds)

    def of(self, pdf: int) -> Floats:
        return self.points[self.bounds[pdf] : self.bounds[pdf + 1]]


@dataclass(frozen=True)
class Statistics:
    """Sufficient statistics of EM: sum over frames of posterior * x', [num_gaussians, 2 dim + 1]; total
    log-likelihood.
    """

    sums: NDArray[np.float64]
    log_likelihood: float

    @property
    def occupancy(self) -> NDArray[np.float64]:
        return self.sums[:, -1]


def accumulate(gmm: Gmm, frames: SortedFrames, seen: SortedFrames | None = None) -> Statistics:
    """The E step. With `seen`, the same frames in other features, sums are over those (Kaldi's twofeats)."""
    sums = np.zeros((len(gmm.weights), frames.points.shape[1]))
    total = 0.0
    for pdf in map(int, np.flatnonzero(frames.counts)):
        points = frames.of(pdf)
        posteriors, log_likelihoods = gmm.posteriors(points, pdf)
        sums[gmm.starts[pdf] : gmm.starts[pdf + 1]] = posteriors.T @ (seen or frames).of(pdf)
        total += float(log_likelihoods.sum(dtype=np.float64))
    return Statistics(sums, total)


def maximise(gmm: Gmm, statistics: Statistics) -> Gmm:
    """The M step. Components with too little data are dropped; a state keeps at least its best one."""
    dim = gmm.means.shape[1]
    occupancy = statistics.occupancy
    totals = np.add.reduceat(occupancy, gmm.starts[:-1])
    pdf_of = np.repeat(np.arange(gmm.num_pdfs), np.diff(gmm.starts))
    weights = np.divide(occupancy, totals[pdf_of], out=gmm.weights.copy(), where=totals[pdf_of] > 0)
    enough = (occupancy >= MIN_OCCUPANCY) & (weights >= MIN_WEIGHT)
    safe = np.maximum(occupancy, MIN_WEIGHT)[:, None]
    means = np.where(enough[:, None], statistics.sums[:, :dim] / safe, gmm.means)
    second = statistics.sums[:, dim : 2 * dim] / safe - means**2
    variances = np.where(enough[:, None], np.maximum(second, VARIANCE_FLOOR), gmm.variances)
    order = np.lexsort((np.arange(len(weights)), -occupancy, pdf_of))
    enough[order[gmm.starts[:-1]]] = True  # the best of each pdf, first in its group
    weights, means, variances, pdf_of = weights[enough], means[enough], variances[enough], pdf_of[enough]
    starts = np.searchsorted(pdf_of, np.arange(gmm.num_pdfs + 1))
    weights = np.maximum(weights, MIN_WEIGHT)
    weights /= np.repeat(np.add.reduceat(weights, starts[:-1]), np.diff(starts))
    return Gmm(weights, means, variances, starts)


def split(gmm: Gmm, occupancy: NDArray[Any], target: int, rng: np.random.Generator) -> Gmm:
    """Grow to about `target` Gaussians: components go where occupancy^0.25 / components is largest.

    The heaviest component of a state is halved, its two halves pushed apart by a hundredth of a standard
    deviation. occupancy: frames of each pdf.
    """
    parts = _shares(np.diff(gmm.starts), np.asarray(occupancy, np.float64), target)
    weights, means, variances = [], [], []
    for pdf, wanted in enumerate(parts):
        here = slice(gmm.starts[pdf], gmm.starts[pdf + 1])
        w, m, v = list(gmm.weights[here]), list(gmm.means[here]), list(gmm.variances[here])
        while len(w) < wanted:
            heaviest = int(np.argmax(w))
            w[heaviest] /= 2
            w.append(w[heaviest])
            push = PERTURBATION * np.sqrt(v[heaviest]) * rng.standard_normal(gmm.dim)
            m.append(m[heaviest] + push)
            m[heaviest] = m[heaviest] - push
            v.append(v[heaviest])
        weights += w
        means += m
        variances += v
    return Gmm(np.array(weights), np.array(means), np.array(variances), np.cumsum([0, *parts]))


def _shares(sizes: NDArray[np.int64], occupancy: NDArray[np.float64], target: int) -> list[int]:
    parts = [int(size) for size in sizes]
    queue = [(-(occupancy[pdf] ** SPLIT_POWER) / parts[pdf], pdf) for pdf in range(len(parts))]
    heapq.heapify(queue)
    total = sum(parts)
    while total < target and queue:
        _, pdf = heapq.heappop(queue)
        if occupancy[pdf] < (parts[pdf] + 1) * SPLIT_MIN_COUNT:
            continue
        parts[pdf] += 1
        total += 1
        heapq.heappush(queue, (-(occupancy[pdf] ** SPLIT_POWER) / parts[pdf], pdf))
    return parts
