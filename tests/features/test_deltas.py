"""Deltas against torchaudio's, for whole utterances and for chunks of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torchaudio

from dasr.features import deltas


def test_those_of_chunks_are_torchaudios_inside_an_utterance() -> None:
    frames = torch.randn(2, 30, 3)
    first = torchaudio.functional.compute_deltas(frames.transpose(1, 2), win_length=5)
    second = torchaudio.functional.compute_deltas(first, win_length=5)
    expected = torch.cat([frames.transpose(1, 2), first, second], dim=1).transpose(1, 2)[:, 4:-4]
    torch.testing.assert_close(deltas.of_chunks(frames, 2), expected)


@pytest.mark.parametrize("length", [1, 3, 40])
@pytest.mark.parametrize("orders", [1, 2])
def test_those_of_an_utterance_are_those_of_a_chunk_whose_context_repeats_its_ends(
    length: int, orders: int
) -> None:
    frames = np.random.default_rng(0).standard_normal((length, 5)).astype(np.float32)
    padded = np.pad(frames, ((2 * orders, 2 * orders), (0, 0)), mode="edge")
    expected = deltas.of_chunks(torch.from_numpy(padded)[None], orders)[0].numpy()
    found = deltas.of_utterance(frames, orders)
    assert found.dtype == np.float32 and found.shape == (length, 5 * (1 + orders))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_stages_of_the_gmm_start_without_torch() -> None:
    """Its import takes longer than what most of them do for one shard of AN4."""
    stages = "dasr.hmm.bootstrap, dasr.hmm.alignment, dasr.hmm.graph, dasr.adaptation.features"
    code = f"import {stages}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
