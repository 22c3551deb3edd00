"""What the GMM sees of an utterance, against plain indexing."""

from __future__ import annotations

import numpy as np

from dasr.hmm.gmm_input import GmmInput, spliced


def test_a_spliced_frame_holds_its_neighbours_and_the_ends_are_repeated() -> None:
    frames = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = spliced(frames, context=2)
    for t in range(6):
        expected = np.concatenate([frames[min(max(t + by, 0), 5)] for by in range(-2, 3)])
        np.testing.assert_array_equal(found[t], expected)


def test_with_a_matrix_it_is_the_product_with_spliced_frames_and_without_one_deltas_are_added() -> None:
    generator = np.random.default_rng(0)
    frames = generator.standard_normal((10, 13)).astype(np.float16)
    matrix = generator.standard_normal((40, 9 * 13)).astype(np.float32)
    projected = GmmInput(matrix)(frames)
    window = np.concatenate([frames[t] for t in range(1, 10)]).astype(np.float64)
    np.testing.assert_allclose(projected[5], matrix.astype(np.float64) @ window, rtol=1e-4, atol=1e-4)
    with_deltas = GmmInput()(frames)
    assert with_deltas.shape == (10, 39)
    np.testing.assert_array_equal(with_deltas[:, :13], frames.astype(np.float32))
