"""Atomic writes: a file or folder has its final name only when it is whole. No write leaves the results
folder: one that comes from elsewhere may hold links to any file of the user's."""

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


_confined: set[Path] = set()  # absolute


def confine(folder: Path | str) -> None:
    """From here on this process writes nothing below `folder` through a link that leads out of it.

    The folder itself may be reached through links."""
    _confined.add(Path(os.path.abspath(folder)))


def check_place(path: Path | str) -> None:
    """Raise UserError where the folder of `path` is below a confined one by its name only."""
    path = Path(os.path.abspath(path))
    for root in _confined.intersection(path.parents):
        real = Path(os.path.realpath(root))
        if Path(os.path.realpath(path.parent)).is_relative_to(real):
            continue
        parents = [each for each in reversed(path.parents) if root in each.parents]
        link = next((each for each in parents if each.is_symlink()), path.parent)
        raise UserError(
            f"{link} is a link that leads out of {root}: nothing is written through it, remove it"
        )


def check_links(folder: Path | str) -> None:
    """Raise UserError for a link anywhere below `folder` that leads out of it."""
    real = os.path.realpath(folder)
    for place, folders, names in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *names)):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(real):
                raise UserError(f"{path} is a link that leads out of {folder}: remove it")
        folders[:] = [name for name in folders if not name.endswith(".zarr")]  # written under another name


def make_folder(folder: Path) -> None:
    """The folder with its parents, unless it is there. Raises UserError, as `check_place`."""
    check_place(folder / "file")
    folder.mkdir(parents=True, exist_ok=True)


def open_own(path: Path | str, mode: str) -> IO[Any]:
    """`open` for a file that is written in place. A link there is refused: in a results folder that comes
    from elsewhere it could point to any file of the user's. Raises UserError."""
    check_place(path)
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
    replaced, and so is a link, not what it points to; on any exception the temporary is removed and `target`
    is left as it was.
    """
    target = Path(target)
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with named(target):
            yield temporary
            if durable and temporary.is_file():
                with open(temporary, "rb") as stream:
                    os.fsync(stream.fileno())
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            elif target.is_symlink() and temporary.is_dir():  # rename does not put a folder over a link
                target.unlink()
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
