"""What the header of an audio file says of its length, held against the length of the file.

Decoders take what there is: a file that was cut off, or whose header has no length since it was written to
a pipe, gives fewer samples, or none, without a word. One rule for all formats, which is Kaldi's for wav:

- the header promises more than the file has: truncated, which is an error;
- the header says that the length is unknown (0, all bits set, or the values that sox and ffmpeg write): the
  audio lasts to the end of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

HEAD = 1 << 16  # bytes of a file in which its header is looked for
LENGTH_UNKNOWN = 0x7FFF0000  # sox writes a little less than 2^31 to a pipe: at least this, for 32 bits


class Truncated(Exception):
    """The file is shorter than its header says, or cannot say how long it is."""


@dataclass(frozen=True)
class Extent:
    """The audio data of a file: where they begin, how many bytes its header promises (None: unknown), and
    the fields of the header that hold a length: (place, bytes, value for `count` bytes of audio)."""

    begin: int
    promised: int | None
    order: Literal["little", "big"]
    fields: tuple[tuple[int, int, Callable[[int], int]], ...] = ()


def check(head: bytes, size: int) -> Extent | None:
    """Where the audio data of a file of `size` bytes are; None for a format without such a header. `head`:
    its first bytes (HEAD are enough). Raises Truncated."""
    extent = _extent(head)
    if extent is not None and extent.promised is not None:
        missing = extent.begin + extent.promised - size
        if missing > 0:
            raise Truncated(f"truncated: its header promises {missing} bytes more")
    return extent


def with_length(data: bytes, extent: Extent) -> bytes:
    """The file `data`, whose header does not know its length, with the length that it has."""
    patched = bytearray(data)
    count = len(data) - extent.begin
    for place, width, value in extent.fields:
        patched[place : place + width] = value(count).to_bytes(width, extent.order)
    return bytes(patched)


def _extent(head: bytes) -> Extent | None:
    for magic, reader in _READERS.items():
        if head.startswith(magic):
            return reader(head)
    return None


def _known(value: int, width: int) -> int | None:
    """A length as a header gives it; None if that means unknown."""
    return None if value == 0 or value >= (LENGTH_UNKNOWN if width == 4 else 1 << 62) else value


def _chunks(head: bytes, begin: int, order: Literal["little", "big"], wanted: bytes) -> int | None:
    """Place of the chunk `wanted` of a file of chunks: 4 bytes of name, 4 of size, padded to even."""
    while begin + 8 <= len(head):
        if head[begin : begin + 4] == wanted:
            return begin
        begin += 8 + (size := int.from_bytes(head[begin + 4 : begin + 8], order)) + size % 2
    return None


def _riff(head: bytes) -> Extent | None:
    order: Literal["little", "big"] = "big" if head[:4] == b"RIFX" else "little"
    place = _chunks(head, 12, order, b"data")
    if place is None:
        return None
    promised = _known(int.from_bytes(head[place + 4 : place + 8], order), 4)
    begin = place + 8
    return Extent(
        begin, promised, order, ((4, 4, lambda count: begin - 8 + count), (place + 4, 4, lambda count: count))
    )


def _rf64(head: bytes) -> Extent | None:
    """The length stands in a chunk ds64 of its own, 64 bits wide."""
    place = _chunks(head, 12, "little", b"data")
    if place is None or head[12:16] != b"ds64":
        return None
    promised = _known(int.from_bytes(head[28:36], "little"), 8)
    begin = place + 8
    return Extent(
        begin, promised, "little", ((20, 8, lambda count: begin - 8 + count), (28, 8, lambda count: count))
    )


def _w64(head: bytes) -> Extent | None:
    """Chunks with names of 16 bytes and sizes of 8 that count the chunk's own 24 bytes, padded to 8."""
    place = 40
    while place + 24 <= len(head):
        size = int.from_bytes(head[place + 16 : place + 24], "little")
        if head[place : place + 4] == b"data":
            promised = None if size <= 24 else _known(size - 24, 8)
            return Extent(place + 24, promised, "little", ((place + 16, 8, lambda count: count + 24),))
        place += max(24, -(-size // 8) * 8)
    return None


def _aiff(head: bytes) -> Extent | None:
    """The length stands twice: in bytes before the samples, and in frames in the chunk COMM."""
    place, common = (_chunks(head, 12, "big", name) for name in (b"SSND", b"COMM"))
    if place is None or common is None:
        return None
    promised = _known(int.from_bytes(head[place + 4 : place + 8], "big"), 4)
    channels = int.from_bytes(head[common + 8 : common + 10], "big")
    bits = int.from_bytes(head[common + 14 : common + 16], "big")
    frame = max(1, channels * -(-bits // 8))
    frames = int.from_bytes(head[common + 10 : common + 14], "big")
    begin = place + 16  # an offset and a block size, which nobody uses, precede the samples
    known = promised is not None and promised > 8 and frames > 0
    return Extent(
        begin,
        promised - 8 if known and promised is not None else None,
        "big",
        ((place + 4, 4, lambda count: count + 8), (common + 10, 4, lambda count: count // frame)),
    )


def _au(head: bytes) -> Extent | None:
    begin = int.from_bytes(head[4:8], "big")
    return Extent(begin, _known(int.from_bytes(head[8:12], "big"), 4), "big", ((8, 4, lambda count: count),))


def _nist(head: bytes) -> Extent | None:
    """Text of lines `name -i value`; decoders go by the size of the file, whatever it says."""
    try:
        begin = int(head[8:16])
    except ValueError:
        return None
    found = {name: int(value) for name, value in re.findall(rb"(\w+) -i (-?\d+)", head[16:begin])}
    if b"sample_count" not in found or b"shorten" in head[16:begin]:
        return None
    width = 1 if re.search(rb"sample_coding -s\d+ [ua]law", head) else found.get(b"sample_n_bytes", 2)
    count = found[b"sample_count"] * width * found.get(b"channel_count", 1)
    return Extent(begin, count if count > 0 else None, "little")


def _caf(head: bytes) -> Extent | None:
    """Chunks of 4 bytes of name and 8 of size; the data begin with a counter of edits, 4 bytes."""
    place = 8
    while place + 12 <= len(head):
        size = int.from_bytes(head[place + 4 : place + 12], "big")
        if head[place : place + 4] == b"data":
            promised = _known(size, 8)
            known = None if promised is None else promised - 4
            return Extent(place + 16, known, "big", ((place + 4, 8, lambda count: count + 4),))
        place += 12 + size
    return None


def _flac(head: bytes) -> Extent | None:
    """Compressed, with the number of samples in 36 bits. A decoder notices a cut, but needs that number."""
    if int.from_bytes(head[21:26], "big") & ((1 << 36) - 1) == 0:
        raise Truncated(
            "its header has no length, as when flac writes to a pipe: encode it again into a file"
        )
    return None


_READERS: dict[bytes, Callable[[bytes], Extent | None]] = {
    b"RIFF": _riff,
    b"RIFX": _riff,
    b"RF64": _rf64,
    b"riff": _w64,
    b"FORM": _aiff,
    b".snd": _au,
    b"NIST_1A": _nist,
    b"caff": _caf,
    b"fLaC": _flac,
}
