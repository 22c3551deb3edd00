"""Statistics that the stages of the bootstrap begin with."""

from __future__ import annotations

import numpy as np

from dasr.hmm.bootstrap import _one_gaussian
from dasr.hmm.gmm import SortedFrames


def test_a_state_begins_with_the_gaussian_of_its_frames_and_an_unseen_one_with_that_of_all() -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(60, 3)).astype(np.float32)
    pdfs = rng.integers(0, 2, 60).astype(np.int32) * 2  # state 1 has none
    gmm = _one_gaussian(frames, SortedFrames.sort(frames, pdfs, 3))
    for pdf, mine in ((0, frames[pdfs == 0]), (1, frames), (2, frames[pdfs == 2])):
        np.testing.assert_allclose(gmm.means[pdf], mine.mean(0), atol=1e-5)
        np.testing.assert_allclose(gmm.variances[pdf], mine.var(0), atol=1e-4)
