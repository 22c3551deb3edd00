"""fMLLR undoes what a speaker's voice did to the features, and never lowers the likelihood."""

import numpy as np

from dasr.hmm.fmllr import adapted, fmllr, identity
from dasr.hmm.gmm import Gmm, extended

DIM = 3


def total(gmm: Gmm, frames: np.ndarray, pdfs: np.ndarray, matrix: np.ndarray) -> float:
    """Log-likelihood of one speaker's frames, Jacobian included."""
    scores = gmm.log_likelihoods(extended(adapted(frames, matrix)), np.arange(gmm.num_pdfs))
    jacobian = np.linalg.slogdet(matrix[:, :-1].astype(float))[1]
    return float(scores[np.arange(len(pdfs)), pdfs].sum() + len(pdfs) * jacobian)


def test_it_finds_the_map_that_the_speaker_was_distorted_with_and_leaves_a_short_speaker_alone() -> None:
    rng = np.random.default_rng(0)
    means, starts = rng.normal(0, 3, (8, DIM)), np.arange(0, 9, 2)
    gmm = Gmm(np.full(8, 0.5), means, rng.uniform(0.3, 1, (8, DIM)), starts)
    component = rng.integers(0, 8, 6000)
    clean = means[component] + np.sqrt(gmm.variances[component]) * rng.normal(size=(6000, DIM))
    pdfs, speaker = component // 2, np.where(np.arange(6000) < 5900, 0, 1)
    true = np.eye(DIM) + 0.15 * rng.normal(size=(DIM, DIM))
    distorted = clean.copy()
    distorted[speaker == 0] = (clean[speaker == 0] - [1.0, -0.5, 0.3]) @ np.linalg.inv(true).T
    frames = distorted.astype(np.float32)
    first = speaker == 0
    maps = identity(2, DIM)
    before = total(gmm, frames[first], pdfs[first], maps[0])
    for _ in range(6):
        maps = fmllr(gmm, frames, pdfs, speaker, maps)
        after = total(gmm, frames[first], pdfs[first], maps[0])
        assert after >= before - 1e-2
        before = after
    np.testing.assert_allclose(maps[0, :, :-1], true, atol=0.03)
    np.testing.assert_allclose(maps[0, :, -1], [1.0, -0.5, 0.3], atol=0.05)
    np.testing.assert_array_equal(maps[1], identity(1, DIM)[0])
    assert before >= total(gmm, frames[first], pdfs[first], np.c_[true, [1.0, -0.5, 0.3]]) - 1
