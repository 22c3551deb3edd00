"""A lock has one owner, which everybody else is told; it is free again after its owner's end."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from dasr.errors import UserError
from dasr.lock import ProcessId, exclusive_lock

ROOT = Path(__file__).resolve().parents[1]


def lock(folder: Path) -> Any:
    return exclusive_lock(folder / "lock", "this run is already being dispatched", "wait for it")


def test_a_lock_has_one_owner_whose_name_the_second_gets(tmp_path: Path) -> None:
    text = rf"already being dispatched by .*process {os.getpid()} on {socket.gethostname()}.*: wait for it"
    with lock(tmp_path), pytest.raises(UserError, match=text), lock(tmp_path):
        pass
    with lock(tmp_path):
        pass


def test_a_lock_is_free_again_after_its_owner_was_killed(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\nfrom dasr.lock import exclusive_lock\n"
        "with exclusive_lock(pathlib.Path(sys.argv[1]) / 'lock', '', ''): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT).returncode == -9
    assert (tmp_path / "lock.owner").read_text() != ""
    with lock(tmp_path):
        pass


def refuse(number: int) -> Any:
    def acquire(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return acquire


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_a_file_system_has_no_locks_the_owners_name_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(FileLock, "acquire", refuse(number))
    with lock(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on"), lock(tmp_path):
        pass
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner = {"user": "ann", "host": socket.gethostname(), "pid": dead.pid}
    (tmp_path / "lock.owner").write_text(json.dumps(owner))
    with lock(tmp_path):
        pass
    (tmp_path / "lock.owner").write_text(json.dumps({**owner, "host": "elsewhere"}))
    with pytest.raises(UserError, match=r"on elsewhere.*remove lock\.owner"), lock(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_cannot_be_written_is_one_line_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(FileLock, "acquire", refuse(number))
    with (
        pytest.raises(UserError, match=f"cannot write {tmp_path}/lock: {os.strerror(number)}"),
        lock(tmp_path),
    ):
        pass


def test_an_owner_is_described_in_words() -> None:
    assert str(ProcessId("ann", "head", 7)) == "ann (process 7 on head)"


def test_a_link_in_a_foreign_folder_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("data")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "lock.owner").symlink_to(precious)
    with lock(folder):
        pass
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(precious)
    with pytest.raises(UserError, match="cannot write"), lock(folder):
        pass
    assert precious.read_text() == "data"
