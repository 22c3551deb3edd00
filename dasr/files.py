"""Atomic writes: a file or folder has its final name only when it is whole."""

import contextlib
import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from dasr.errors import UserError


@contextlib.contextmanager
def named(path: Path | str) -> Iterator[None]:
    """Let an OSError name `path` where it names no file: that of writing to an open file does not."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def open_own(path: Path | str, mode: str) -> IO[Any]:
    """`open` for a file that is written in place. A link there is refused: in a results folder that comes
    from elsewhere it could point to any file of the user's. Raises UserError."""
    try:
        return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o666))
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path} is a link, which would be written through: remove it") from None


@contextlib.contextmanager
def atomic(target: Path | str, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary sibling of `target` to write (a file or a folder); rename it into place on success.

    With `durable` a file's bytes reach the disk before the rename (checkpoints). A folder at `target` is
    replaced; on any exception the temporary is removed and `target` is left as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with named(target):
            yield temporary
            if durable and temporary.is_file():
                with open(temporary, "rb") as stream:
                    os.fsync(stream.fileno())
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            os.replace(temporary, target)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def write_text(target: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path | str, value: Any) -> None:
    """Write JSON atomically, indented, keys in the given order."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
