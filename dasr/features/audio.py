"""Audio of one utterance, from whatever a Kaldi wav.scp may name."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasr.corpora import archives, rxfilename
from dasr.corpora.datadir import Entry
from dasr.errors import UserError
from dasr.features import containers

Samples = NDArray[np.float32]
OGG_TAIL = 66_000  # bytes: an Ogg page has at most 65,307
OVERSHOOT_S = 0.5  # Kaldi's --max-overshoot of a segment's end


class BadAudio(Exception):
    """Why one utterance's audio or features cannot be used; it is rejected."""


@dataclass(frozen=True)
class AudioReader:
    """Reads mono audio at `sample_rate`, on int16's scale, as Kaldi does."""

    sample_rate: int = 16000
    resample: bool = False
    allow_pipes: bool = False

    def __call__(self, entry: Entry) -> Tensor:
        """float32 [num_samples]. Raises BadAudio; UserError for a pipe that is not allowed."""
        rate, samples = self._decode(entry)
        if rate != self.sample_rate:
            if not self.resample:
                raise BadAudio(
                    f"sample rate {rate} instead of {self.sample_rate} (set corpus.resample: true)"
                )
            samples = self._resample(samples, rate)
        if len(samples) == 0:
            raise BadAudio("empty audio")
        if not np.isfinite(samples).all():
            raise BadAudio("audio with NaN or infinity")
        return torch.from_numpy(samples)

    def _decode(self, entry: Entry) -> tuple[int, Samples]:
        """(rate, samples of the utterance's part)."""
        try:
            place = rxfilename.parse(entry.audio)
            if place.command is not None:
                if not self.allow_pipes:
                    why = "set corpus.allow_pipes: true if you trust this corpus"
                    raise UserError(f"'{entry.audio}' runs a command; {why}")
                return self._contents(archives.run(place.command), entry)
            assert place.file is not None
            if place.offset is not None:
                return self._contents(archives.audio_bytes(place), entry)
        except archives.BadArchive as error:
            raise BadAudio(f"cannot be read from {place}: {error}") from None
        if place.file.suffix == ".raw":
            return self.sample_rate, self._part(raw(place.file), self.sample_rate, entry)
        return self._file(place.file, entry)

    def _file(self, path: Path, entry: Entry) -> tuple[int, Samples]:
        """Of a file only the part is read, unless its header does not know how long it is."""
        try:
            with path.open("rb") as stream:
                head, size = stream.read(containers.HEAD), path.stat().st_size
                extent = containers.check(head, size)
                if extent is not None and extent.promised is None:
                    return self._decoded(
                        Contents(containers.with_length(head + stream.read(), extent)), entry
                    )
                stream.seek(max(0, size - OGG_TAIL))
                tail = stream.read(OGG_TAIL)
        except OSError as error:
            raise BadAudio(f"cannot be read: {error.strerror}") from None
        except containers.Truncated as error:
            raise BadAudio(str(error)) from None
        decoded = self._decoded(str(path), entry)
        check_ogg(head, tail)
        return decoded

    def _contents(self, data: bytes, entry: Entry) -> tuple[int, Samples]:
        """As `_file`, of a file's bytes."""
        try:
            extent = containers.check(data[: containers.HEAD], len(data))
        except containers.Truncated as error:
            raise BadAudio(str(error)) from None
        if extent is not None and extent.promised is None:
            data = containers.with_length(data, extent)
        decoded = self._decoded(Contents(data), entry)
        check_ogg(data[:4], data[-OGG_TAIL:])
        return decoded

    def _decoded(self, place: str | BytesIO, entry: Entry) -> tuple[int, Samples]:
        import soundfile

        try:
            with soundfile.SoundFile(place) as stream:
                rate, length = int(stream.samplerate), int(stream.frames)
                first, last = part(entry, rate, length)
                if first:
                    stream.seek(first)
                samples = stream.read(last - first, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            raise BadAudio(f"cannot be decoded: {error}") from None
        if len(samples) < last - first:
            raise BadAudio(f"truncated: {len(samples)} of {last - first} samples")
        return rate, mono(samples) * np.float32(32768)

    def _part(self, samples: Samples, rate: int, entry: Entry) -> Samples:
        first, last = part(entry, rate, len(samples))
        return samples[first:last]

    def _resample(self, samples: Samples, rate: int) -> Samples:
        from torchaudio.functional import resample

        return np.asarray(resample(torch.from_numpy(samples), rate, self.sample_rate).numpy(), np.float32)


class Contents(BytesIO):
    """A file's bytes. A decoder that looks for something before their beginning stays there: soundfile would
    print the traceback of an error."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return super().seek(max(0, offset) if whence == 0 else offset, whence)


def check_ogg(head: bytes, tail: bytes) -> None:
    """Raise BadAudio for an Ogg file that was cut off: decoders take what there is, since its head tells no
    length. `tail`: its last OGG_TAIL bytes, or all of it."""
    if not head.startswith(b"OggS"):
        return
    last = tail.rfind(b"OggS")
    segments = tail[last + 26] if last >= 0 and len(tail) > last + 27 else 0
    whole = len(tail) == last + 27 + segments + sum(tail[last + 27 : last + 27 + segments])
    if not (whole and tail[last + 5] & 4):
        raise BadAudio("truncated: its last Ogg page is not marked as the end")


def part(entry: Entry, rate: int, length: int) -> tuple[int, int]:
    """(first, one after the last) sample of the utterance in a recording of `length` samples.

    As Kaldi's extract-segments: an end up to half a second beyond the recording's is the recording's end.
    Raises BadAudio for a part that lies farther out.
    """
    first = round((entry.begin or 0) * rate)
    last = length if entry.end is None else round(entry.end * rate)
    if first >= length > 0 or last > length + round(OVERSHOOT_S * rate):
        raise BadAudio(
            f"its segment ({entry.begin or 0:g} s to {last / rate:g} s) lies beyond the end of the recording "
            f"({length / rate:g} s)"
        )
    return min(first, length), min(last, length)


def mono(samples: Samples) -> Samples:
    """[num_samples, channels] to [num_samples]. Raises BadAudio for more than one channel."""
    if samples.shape[1] != 1:
        raise BadAudio(f"{samples.shape[1]} channels instead of one")
    return samples[:, 0]


def raw(path: Path) -> Samples:
    """Headerless 16-bit samples; AN4 was published in both byte orders, and the smoother reading is the right
    one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadAudio(f"cannot be read: {error.strerror}") from None
    if len(data) % 2:
        raise BadAudio(f"cannot be decoded: {len(data)} bytes are no 16-bit samples")
    readings = [np.frombuffer(data, order).astype(np.float32) for order in ("<i2", ">i2")]
    roughness = [float(np.abs(np.diff(reading)).mean()) if len(reading) > 1 else 0.0 for reading in readings]
    return readings[int(np.argmin(roughness))]
