"""NIST's trn files."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.results.trn import read_trn


def test_a_trn_file_is_read_and_what_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "test.trn"
    with pytest.raises(UserError, match="run `dasr score` first"):
        read_trn(path)
    path.write_text("ONE TWO (spk-u1)\n(spk-u2)\n")
    assert read_trn(path) == {"spk-u1": ["ONE", "TWO"], "spk-u2": []}
    path.write_text("ONE TWO (spk-u1)\nTHREE\n")
    with pytest.raises(UserError, match=r"test\.trn:2: not a trn line"):
        read_trn(path)
