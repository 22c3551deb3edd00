"""An HMM system on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from dasr.errors import UserError
from dasr.hmm.system import HmmSystem, read_symbols


def test_a_truncated_model_and_a_missing_file_are_one_clear_line(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "hmm", tmp_path / "hmm")
    whole = (tmp_path / "hmm" / "final.mdl").read_bytes()
    (tmp_path / "hmm" / "final.mdl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="truncated"):
        _ = HmmSystem.load(tmp_path / "hmm").acoustics
    (tmp_path / "hmm" / "pdf_counts.txt").unlink()
    with pytest.raises(UserError, match="no pdf_counts"):
        HmmSystem.load(tmp_path / "hmm")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A 1\nA 2\n", ":2: 'A' has two ids"),
        ("A 1\nB 1\n", "two symbols have one id"),
        ("A x\n", ":1 is not"),
    ],
)
def test_a_symbol_table_gives_each_symbol_one_id(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "words.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_symbols(tmp_path / "words.txt")


def test_priors_are_the_states_shares_of_the_frames_and_none_is_tiny(small: Path, tmp_path: Path) -> None:
    system = HmmSystem(small / "hmm")
    counts = system.pdf_counts.copy()
    counts[3] = 0
    system.__dict__["pdf_counts"] = counts
    share = np.maximum(counts / counts.sum(), 1e-5)
    np.testing.assert_allclose(system.log_priors, np.log(share / share.sum()), atol=1e-6)
