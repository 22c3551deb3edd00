"""One dispatcher a run folder: a lock that says who holds it and ends with its owner, even by SIGKILL."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from dasr.errors import UserError
from dasr.launch.job_record import DispatcherId


@contextlib.contextmanager
def exclusive_lock(run_folder: Path) -> Iterator[None]:
    """Hold the lock of `run_folder`. Raises UserError naming the owner when somebody else does."""
    path = run_folder / "lock"
    run_folder.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(path, _owner(path)) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            _claim_without_locks(path)  # a file system mounted without them (Lustre, old NFS)
        stream.truncate(0)
        stream.write(json.dumps(asdict(DispatcherId.this_process())) + "\n")
        stream.flush()
        try:
            yield
        finally:
            stream.truncate(0)


def _owner(path: Path) -> DispatcherId | None:
    try:
        return DispatcherId(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _held(path: Path, owner: DispatcherId | None) -> UserError:
    return UserError(
        f"this run is already being dispatched by {owner or 'another process'} (lock {path}): "
        "wait for it, or end that process; its job goes on and is found again"
    )


def _claim_without_locks(path: Path) -> None:
    """Judge by the owner's name: one on this host can be looked for, one elsewhere must be believed."""
    owner = _owner(path)
    if owner is None:
        return
    if owner.host != socket.gethostname():
        raise UserError(
            f"{_held(path, owner)} (its file system has no locks: if that process is gone, remove the file)"
        )
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner.pid, 0)
        raise _held(path, owner)
