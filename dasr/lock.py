"""Locks between processes, on file systems that may be shared: each says who holds it, and ends with its
owner, even by SIGKILL."""

from __future__ import annotations

import contextlib
import errno
import getpass
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dasr.errors import UserError
from dasr.files import make_folder, write_json

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@dataclass
class ProcessId:
    """A process of this or another host: shown to whoever finds a lock held."""

    user: str
    host: str
    pid: int

    @classmethod
    def this_process(cls) -> ProcessId:
        return cls(getpass.getuser(), socket.gethostname(), os.getpid())

    def __str__(self) -> str:
        return f"{self.user} (process {self.pid} on {self.host})"


@contextlib.contextmanager
def exclusive_lock(path: Path, held: str, remedy: str) -> Iterator[None]:
    """Hold the lock at `path`; its owner's name is beside it, in a file that ends in `.owner`.

    Raises UserError when another process holds it: what `held` says, its owner, `remedy`; or when `path`
    cannot be written."""
    lock = FileLock(path, timeout=0, fallback_to_soft=False)
    beside = path.with_name(f"{path.name}.owner")
    try:
        make_folder(path.parent)
        try:
            lock.acquire()
        except Timeout:
            raise UserError(_text(path, _owner(beside), held, remedy)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _claim_without_locks(path, _owner(beside), held, remedy)  # Lustre without flock, old NFS
        write_json(beside, asdict(ProcessId.this_process()))
    except OSError as error:
        lock.release()
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
        lock.release()


def _owner(beside: Path) -> ProcessId | None:
    try:
        return ProcessId(**json.loads(beside.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _text(path: Path, owner: ProcessId | None, held: str, remedy: str) -> str:
    return f"{held} by {owner or 'another process'} (lock {path}): {remedy}"


def _claim_without_locks(path: Path, owner: ProcessId | None, held: str, remedy: str) -> None:
    """Judge by the owner's name: one on this host can be looked for, one elsewhere must be believed."""
    if owner is None:
        return
    text = _text(path, owner, held, remedy)
    if owner.host != socket.gethostname():
        raise UserError(
            f"{text} (its file system has no locks: if that process is gone, remove {path.name}.owner)"
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner.pid, 0)
        raise UserError(text)
