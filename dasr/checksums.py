"""Checksums of a stage's files, in its manifest.json, checked when a later stage opens a file.

A folder that a stage has finished holds manifest.json, written last. Its entry `files` has a CRC-32 of each
other file, and `own` one of the rest of the manifest, so that a byte that has changed since, on a bad disk or
by a copy that was cut off, is an error and never another result. A folder that several stages write gains an
entry with each file (`sealed`). A file that no manifest lists (a user's own corpus, say) is not checked.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dasr.errors import UserError
from dasr.files import atomic, write_json

MANIFEST = "manifest.json"
FILES = "files"
OWN = "own"
REMAKE = "remove it and the manifest.json beside it, and run the stage that makes it again"
BLOCK = 1 << 20


def of_bytes(parts: Iterable[Any]) -> str:
    """CRC-32 over all parts (bytes, or what can be seen as bytes) in order, as `crc32:xxxxxxxx`."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return f"crc32:{value:08x}"


def of_file(path: Path) -> str:
    """The same of a file's contents, in constant memory."""
    with path.open("rb") as stream:
        return of_bytes(iter(lambda: stream.read(BLOCK), b""))


def of_folder(folder: Path) -> dict[str, str]:
    """Name (with / where it lies deeper) -> checksum of every file below `folder` but its manifest."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): of_file(path) for path in found}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; empty if it has none. Raises UserError for one that is damaged."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:120]}; {REMAKE}") from None
    if not isinstance(manifest, dict):
        raise UserError(f"{path} is not a JSON object; {REMAKE}")
    return checked(manifest, path)


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest of a folder, atomically, with a checksum of itself."""
    write_json(folder / MANIFEST, with_own(content))


def with_own(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a checksum of all that it says."""
    return {**content, OWN: of_bytes([json.dumps(content).encode()])}


def checked(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A JSON object, read from `path`, without its own checksum, if it has one. Raises UserError where that
    is another."""
    content = {key: value for key, value in record.items() if key != OWN}
    if OWN in record and record != with_own(content):
        raise damaged(path)
    return content


@contextlib.contextmanager
def sealed(path: Path) -> Iterator[Path]:
    """As `files.atomic`, for a file that is listed in the manifest beside it from then on."""
    unseal(path)
    with atomic(path) as temporary:
        yield temporary
    seal(path)


def seal(path: Path) -> None:
    """List the file, as it is now, in the manifest beside it. One process at a time writes to a folder."""
    manifest = read_manifest(path.parent)
    listed = {**manifest.get(FILES, {}), path.name: of_file(path)}
    write_manifest(path.parent, {**manifest, FILES: listed})


def unseal(path: Path) -> None:
    """List it no more: it is about to change."""
    manifest = read_manifest(path.parent)
    if path.name in (listed := manifest.get(FILES, {})):
        kept = {name: one for name, one in listed.items() if name != path.name}
        write_manifest(path.parent, {**manifest, FILES: kept})


def expected(path: Path) -> str | None:
    """What the manifest beside `path` says of it, if anything. Raises UserError for a damaged manifest."""
    files = read_manifest(path.parent).get(FILES)
    return files.get(path.name) if isinstance(files, Mapping) else None


def check_bytes(path: Path, data: bytes) -> bytes:
    """`data`, which were read from `path`. Raises UserError where they are not those of its manifest."""
    wanted = expected(path)
    if wanted is not None and of_bytes([data]) != wanted:
        raise damaged(path)
    return data


def check(path: Path) -> None:
    """Read the file and check it against the manifest beside it. Raises UserError."""
    wanted = expected(path)
    if wanted is not None and of_file(path) != wanted:
        raise damaged(path)


def check_folder(folder: Path) -> None:
    """Check every file that the folder's manifest lists. Raises UserError for the first that is not as it
    says."""
    files = read_manifest(folder).get(FILES)
    for name, wanted in files.items() if isinstance(files, Mapping) else ():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing, but {folder / MANIFEST} lists it; {REMAKE}")
        if of_file(path) != wanted:
            raise damaged(path)


def damaged(path: Path) -> UserError:
    """What to say of a file whose checksum is not the one that was kept."""
    return UserError(f"{path} is damaged: it does not have the checksum that was written with it; {REMAKE}")
