"""A Kaldi data directory of its own for each test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """train and test of 4 speakers x 5 utterances each, and a lexicon."""
    root = tmp_path / "data"
    tone = (1000 * np.sin(np.arange(8000) / 7)).astype(np.int16)
    for split in ("train", "test"):
        names = [f"{split}{s}-u{n}" for s in range(4) for n in range(5)]
        folder = root / split
        folder.mkdir(parents=True)
        for name in names:
            soundfile.write(folder / f"{name}.flac", tone, 16000)
        (folder / "wav.scp").write_text("".join(f"{n} {n}.flac\n" for n in reversed(names)))
        (folder / "text").write_text("".join(f"{n} HÉLLO WORLD\n" for n in names), encoding="utf-8")
        (folder / "utt2spk").write_text("".join(f"{n} {n[:-3]}\n" for n in names))
    (root / "lang").mkdir()
    (root / "lang" / "lexicon.txt").write_text("HÉLLO HH AH L OW\nWORLD W ER L D\n", encoding="utf-8")
    return root
