"""Objects of Kaldi's archives: matrices, audio, alignments; nothing else is read.

kaldiio decodes what it knows, which includes pickled Python objects ("PKL"): unpickling runs code that the
file brings along. So the type and the announced size of an object are checked here first, and only Kaldi's
own binary and text types, and audio, get as far as kaldiio. Files are opened here too: kaldiio takes a name
that ends in "|" for a command.
"""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dasr.corpora import tables
from dasr.corpora.rxfilename import Place, Range
from dasr.errors import UserError

AUDIO = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"NIST", b"FORM", b".snd", b"riff", b"caff")
KALDIIO_AUDIO = b"AUDIO"  # kaldiio's archives of flac and the like: this, a length, the file
LONGEST_KEY = 4096  # bytes of an utterance id
LONGEST_ALIGNMENT = 100_000_000  # frames of an utterance: 11 days
BLOCK = 1 << 20


class BadArchive(Exception):
    """Why an object of an archive cannot be read."""


def run(command: str) -> bytes:
    """What a shell command writes. Raises BadArchive."""
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        printed = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no output"]
        raise BadArchive(f"its command failed with status {done.returncode}: {printed[0]}")
    return done.stdout


def _open(place: Place) -> tuple[IO[bytes], int]:
    """The stream of `place`, at the object, and the bytes from there on. Raises BadArchive."""
    if place.command is not None:
        data = run(place.command)
        return io.BytesIO(data), len(data)
    assert place.file is not None
    try:
        stream = place.file.open("rb")
    except OSError as error:
        raise BadArchive(f"{place.file} cannot be read: {error.strerror}") from None
    size = stream.seek(0, io.SEEK_END)
    begin = place.offset or 0
    if begin >= size:
        stream.close()
        raise BadArchive(f"{place.file} has {size} bytes, so nothing at byte {begin}")
    stream.seek(begin)
    return stream, size - begin


def audio_bytes(place: Place) -> bytes:
    """The audio file that is at `place` in an archive, to the archive's end. Raises BadArchive."""
    stream, size = _open(place)
    with stream:
        magic = stream.read(5)
        if magic == KALDIIO_AUDIO:
            width = (stream.read(1) or b"\0")[0]
            length = int.from_bytes(stream.read(width), "little")
            if not 0 < length <= size:
                raise BadArchive(f"announces {length} bytes of audio, where {size} are")
            return stream.read(length)
        if not magic.startswith(AUDIO):
            raise BadArchive(f"{_shown(magic)} begins no audio file")
        data = magic + stream.read()
    if magic.startswith(b"RIFF"):  # of several in one archive, this one
        length = int.from_bytes(data[4:8], "little") + 8
        data = data[:length] if 8 < length <= len(data) else data
    return data


def read_matrix(place: Place) -> NDArray[np.float32]:
    """A matrix or a part of one, float32 [rows, columns]. Raises BadArchive."""
    import kaldiio.matio

    stream, size = _open(place)
    with stream:
        begin = stream.tell()
        _check_matrix(stream.read(64), size)
        stream.seek(begin)
        try:
            matrix = np.asarray(kaldiio.matio.read_kaldi(stream), np.float32)
        except Exception as error:  # kaldiio raises whatever its parser stumbles over
            raise BadArchive(f"is no matrix: {' '.join(str(error).split())[:100]}") from None
    if matrix.ndim != 2:
        raise BadArchive(f"has shape {list(matrix.shape)}, so it is no matrix")
    return np.asarray(matrix[_slice(place.rows, matrix.shape[0]), _slice(place.columns, matrix.shape[1])])


def _check_matrix(head: bytes, size: int) -> None:
    """Raise BadArchive unless `head` begins a matrix that `size` bytes can hold."""
    if not head.startswith(b"\0B"):
        if not head.lstrip(b" \n").startswith(b"["):
            raise BadArchive(f"{_shown(head[:5])} begins no Kaldi matrix (PKL and NPY objects are not read)")
        return
    kind, _, rest = head[2:].partition(b" ")
    needs = {b"FM": 4, b"DM": 8, b"CM": 1, b"CM2": 2, b"CM3": 1}.get(kind)
    if needs is None:
        raise BadArchive(f"{_shown(kind[:5])} is no type of a Kaldi matrix")
    try:
        if kind.startswith(b"C"):
            rows, columns = struct.unpack("<ii", rest[8:16])
        else:
            rows, columns = struct.unpack("<xixi", rest[:10])
    except struct.error:
        raise BadArchive("is cut off in its header") from None
    if rows < 0 or columns < 0 or rows * columns * needs > size:
        raise BadArchive(f"announces {rows} x {columns} numbers, more than its file holds")


def _slice(given: Range, size: int) -> slice:
    """Raises BadArchive for a part beyond the end, but for the three frames that Kaldi tolerates."""
    if given is None:
        return slice(None)
    first, last = given
    if first > last or last >= size + 3:
        raise BadArchive(f"has {size} rows or columns, but {first}:{last} are wanted")
    return slice(first, min(last, size - 1) + 1)


def _shown(data: bytes) -> str:
    return repr(data.decode("ascii", "replace"))


def read_alignments(file: Path) -> Iterator[tuple[str, NDArray[np.int32]]]:
    """(utterance, transition ids [num_frames]) of `ali.*.gz` or `ali.*.ark`, binary or text, one after
    another: memory is that of one utterance, whatever the file unpacks to. Raises UserError."""
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            yield from _alignments(_Buffered(stream))
    except (OSError, EOFError, zlib.error, BadArchive) as error:
        why = " ".join(str(error).split())[:100]
        raise UserError(f"{file} is not a Kaldi alignment archive: {why}") from None


class _Buffered:
    """A stream that is read to separators, within bounds."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.data = stream, b""

    def take(self, count: int) -> bytes:
        """That many bytes. Raises BadArchive where there are fewer."""
        parts = [self.data[:count]]
        self.data = self.data[count:]
        missing = count - len(parts[0])
        while missing:
            part = self.stream.read(min(missing, BLOCK))
            if not part:
                raise BadArchive("it is cut off")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def until(self, separators: bytes, most: int) -> tuple[bytes, bytes] | None:
        """(what stands before the next of `separators`, which one); None at the end of the stream."""
        while True:
            places = [place for one in separators if (place := self.data.find(bytes([one]))) >= 0]
            if places:
                found, self.data = self.data[: min(places)], self.data[min(places) :]
                return found, self.take(1)
            if len(self.data) > most:
                raise BadArchive(f"no blank within {most} bytes")
            part = self.stream.read(BLOCK)
            if not part:
                if self.data.strip():
                    found, self.data = self.data, b""
                    return found, b""
                return None
            self.data += part


def _alignments(stream: _Buffered) -> Iterator[tuple[str, NDArray[np.int32]]]:
    while (found := stream.until(b" \t\n", LONGEST_KEY)) is not None:
        key, separator = found
        try:
            name = key.decode("utf-8")
        except UnicodeDecodeError:
            raise BadArchive(f"{_shown(key[:20])} is no utterance id") from None
        if not name or not separator or b"\0" in key:
            raise BadArchive(f"{_shown(key[:20])} is no utterance id")
        if separator == b"\n":
            yield name, np.zeros(0, np.int32)
            continue
        begin = stream.take(1)
        if begin == b"\0":
            yield name, _binary_ids(stream)
        else:
            stream.data = begin + stream.data
            yield name, _text_ids(stream, name)


def _binary_ids(stream: _Buffered) -> NDArray[np.int32]:
    """An int32 vector after the zero of its header: B, a size of 4, the count, each with its size."""
    letter, width, count = struct.unpack("<cbi", stream.take(6))
    if letter != b"B" or width != 4 or not 0 <= count <= LONGEST_ALIGNMENT:
        raise BadArchive("what follows an utterance id is no list of integers")
    pairs = np.frombuffer(stream.take(5 * count), np.dtype([("size", "i1"), ("value", "<i4")]))
    if not (pairs["size"] == 4).all():
        raise BadArchive("what follows an utterance id is no list of integers")
    return np.ascontiguousarray(pairs["value"])


def _text_ids(stream: _Buffered, name: str) -> NDArray[np.int32]:
    found = stream.until(b"\n", 12 * LONGEST_ALIGNMENT)
    try:
        words = tables.fields((found[0] if found else b"").decode("ascii"))
        return np.array([int(word) for word in words], np.int32)
    except (ValueError, OverflowError):
        raise BadArchive(f"the line of {name} is no list of integers") from None
