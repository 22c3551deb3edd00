"""Whether a shard's recordings are still those that its features were made from.

One text stands for the size and time of change of every audio file of a shard, so that a workflow of a
million files has one thing to compare for each shard, and not one for each file.
"""

from __future__ import annotations

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path

from dasr.corpora import tables


def state(scp: Path) -> str | None:
    """A digest of the files that a wav.scp names: another one where a file was replaced, touched, removed,
    or is there again. None where there is no such table. Pipes and archives are not files to watch."""
    try:
        written = scp.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return _state(scp, written)


@cache
def _state(scp: Path, written_ns: int) -> str:
    """Once for a table as it was written at that time: several kinds of features ask for it."""
    found = blake2b(digest_size=16)
    for line in tables.lines_of(tables.read_bytes(scp)):
        key_and_place = line.split(None, 1)  # at blanks of ASCII, as Kaldi does
        if len(key_and_place) == 2 and not (place := key_and_place[1].rstrip()).endswith(b"|"):
            found.update(b"%s %s\n" % (place, _size_and_time(place)))
    return found.hexdigest()


def _size_and_time(place: bytes) -> bytes:
    try:
        about = os.stat(place)
    except (OSError, ValueError):  # a zero byte is in no name
        return b"none"
    return b"%d %d" % (about.st_size, about.st_mtime_ns)
