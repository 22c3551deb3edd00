"""In every format: a file cut off is rejected, one without a length in its header is read to its end."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dasr.corpora.datadir import Entry
from dasr.features.audio import AudioReader, BadAudio

SAMPLES = (np.sin(np.arange(20_000) * 0.05) * 8000).astype(np.int16)
FORMATS = {
    "wav": ("WAV", "PCM_16"), "wavex": ("WAVEX", "PCM_16"), "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "PCM_16"),
    "sph": ("NIST", "PCM_16"), "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "ulaw": ("NIST", "ULAW"),
}  # fmt: skip


def encoded(name: str) -> bytes:
    container, subtype = FORMATS[name]
    buffer = io.BytesIO()
    soundfile.write(buffer, SAMPLES, 16_000, format=container, subtype=subtype)
    return buffer.getvalue()


def put(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


def after(data: bytes, name: bytes, skip: int, value: bytes) -> bytes:
    return put(data, data.index(name) + skip, value)


NO_LENGTH: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "wav zeros": ("wav", lambda data: put(put(data, 4, bytes(4)), 40, bytes(4))),
    "wav all bits": ("wav", lambda data: put(put(data, 4, b"\xff" * 4), 40, b"\xff" * 4)),
    "wav sox": ("wav", lambda data: put(put(data, 4, b"\x24\xf0\xff\x7f"), 40, b"\0\xf0\xff\x7f")),
    "rf64": ("rf64", lambda data: put(data, 28, b"\xff" * 8)),
    "w64": ("w64", lambda data: after(data, b"data", 16, struct.pack("<Q", 24))),
    "aiff": ("aiff", lambda data: after(after(data, b"COMM", 10, bytes(4)), b"SSND", 4, bytes(4))),
    "au": ("au", lambda data: put(data, 8, b"\xff" * 4)),
    "au zero": ("au", lambda data: put(data, 8, bytes(4))),
    "sph": ("sph", lambda data: data.replace(b"sample_count -i 20000", b"sample_count -i 0    ")),
    "caf": ("caf", lambda data: after(data, b"data", 4, b"\xff" * 8)),
}


def read(place: str, begin: float | None = None, end: float | None = None) -> int:
    reader = AudioReader(16_000, allow_pipes=True)
    return len(reader(Entry("u", "s", ("A",), "r", place, begin, end)))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("lost", [1, 2, 100, 9_000], ids=str)
def test_a_file_that_was_cut_off_is_rejected(tmp_path: Path, name: str, lost: int) -> None:
    (tmp_path / "whole").write_bytes(encoded(name))
    (tmp_path / "cut").write_bytes(encoded(name)[: -min(lost, len(encoded(name)) // 2)])
    assert read(str(tmp_path / "whole")) == 20_000
    for place in (str(tmp_path / "cut"), f"cat {tmp_path / 'cut'} |"):
        with pytest.raises(BadAudio):
            read(place)


@pytest.mark.parametrize("case", NO_LENGTH)
def test_a_header_without_a_length_means_to_the_end(tmp_path: Path, case: str) -> None:
    name, change = NO_LENGTH[case]
    (tmp_path / "x").write_bytes(change(encoded(name)))
    assert read(str(tmp_path / "x")) == 20_000
    assert read(f"cat {tmp_path / 'x'} |") == 20_000


@pytest.mark.parametrize("name", ["wav", "flac", "sph"])
def test_a_segment_is_cut_at_the_end_or_rejected_as_kaldi_does(tmp_path: Path, name: str) -> None:
    """The recording lasts 1.25 s; extract-segments tolerates half a second beyond the end."""
    (tmp_path / "x").write_bytes(encoded(name))
    for place in (str(tmp_path / "x"), f"cat {tmp_path / 'x'} |"):
        assert read(place, 0.25, 1.0) == 12_000
        assert read(place, 0.25, 1.7) == 16_000
        for begin, end in ((0.0, 1.8), (1.3, 1.4)):
            with pytest.raises(BadAudio, match="beyond the end"):
                read(place, begin, end)
