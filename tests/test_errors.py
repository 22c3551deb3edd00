"""Trouble with disks, permissions and users without a name is one line with a path, and exit status 2."""

from __future__ import annotations

import errno
import getpass
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from dasr import cli
from dasr.errors import of_system
from dasr.files import atomic, named, write_text

ROOT = Path(__file__).resolve().parents[1]
FULL = Path("/dev/full")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_trouble_of_the_system_names_the_file(number: int) -> None:
    told = of_system(OSError(number, os.strerror(number), "results/x"))
    assert told is not None and "results/x" in str(told) and os.strerror(number) in str(told)


def test_what_may_be_a_fault_of_the_program_is_not_the_users() -> None:
    assert of_system(OSError(errno.EBADF, "Bad file descriptor")) is None


def test_a_write_to_a_full_disk_names_the_file() -> None:
    with pytest.raises(OSError) as caught, open(FULL, "w") as stream, named("results/metrics.jsonl"):
        stream.write("x" * 100_000)
    assert "results/metrics.jsonl" in str(of_system(caught.value))


def test_a_user_without_a_passwd_entry_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_entry(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    cli._name_user()
    assert getpass.getuser() == f"uid{os.getuid()}"


def test_a_command_that_cannot_write_its_result_says_so_in_one_line(tmp_path: Path) -> None:
    code = (
        "import errno, os\n"
        "from dasr import cli\n"
        "def full(): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'results/model')\n"
        "cli.dasr = full\n"
        "cli.main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert ended.stderr == (
        "dasr: error: cannot write results/model: No space left on device: "
        "make room there, or choose another folder\n"
    )


def test_an_atomic_write_names_its_target_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_text(target, "old")
    with pytest.raises(OSError) as caught, atomic(target) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(target)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
