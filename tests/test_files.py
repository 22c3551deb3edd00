"""Atomic writes: whole or not at all."""

from pathlib import Path

import pytest

from dasr import files
from dasr.errors import UserError


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"a": 1})
    with pytest.raises(RuntimeError), files.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == '{\n  "a": 1\n}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "store"
    for name in ("old", "new"):
        with files.atomic(target) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_file_that_is_written_in_place_is_not_written_through_a_link(tmp_path: Path) -> None:
    precious, link = tmp_path / "precious", tmp_path / "metrics.jsonl"
    precious.write_text("data")
    link.symlink_to(precious)
    for mode in ("ab", "a+b", "w"):
        with pytest.raises(UserError, match=r"metrics\.jsonl is a link"):
            files.open_own(link, mode)
    assert precious.read_text() == "data"
    link.unlink()
    with files.open_own(link, "ab") as stream:
        stream.write(b"mine")
    assert link.read_bytes() == b"mine"
