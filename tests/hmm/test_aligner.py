"""Workers that align."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from dasr.hmm.aligner import aligner
from tests.support.small_corpus import load


def test_states_share_the_frames_of_a_flat_start_equally(small: Path) -> None:
    given, system = load(small)
    with aligner(given, system.lexicon_fst, 1) as alone:
        aligned = alone.align_equally(system.transitions, 0)
    for n, ids in enumerate(aligned):
        assert ids is not None and len(ids) == len(given.frames_of(n))
        loops = system.transitions.is_loop[ids]
        runs = np.diff(np.flatnonzero(~loops))  # frames from one state's end to the next one's
        assert runs.max() - runs.min() <= 1


def test_worker_processes_share_frames_in_a_file_without_a_name(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, system = load(small)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with aligner(given, system.lexicon_fst, 1) as alone:
        expected = alone.align_equally(system.transitions, 0)
    with aligner(given, system.lexicon_fst, 2) as pool:
        found = pool.align_equally(system.transitions, 0)
        assert list(tmp_path.iterdir()) == []
    for ids, others in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ids, others)
