"""Audio of one utterance, from whatever a Kaldi wav.scp may name."""

from __future__ import annotations

import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dasr.corpora.datadir import Entry
from dasr.errors import UserError

Samples = NDArray[np.float32]
LENGTH_UNKNOWN = 0x7FFF0000  # what programs that write wav to a pipe put for its length, at least


class BadAudio(Exception):
    """Why one utterance's audio or features cannot be used; it is set aside."""


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
        place = entry.audio
        if place.endswith("|"):
            rate, samples = self._pipe(place)
        elif ":" in Path(place).name and not Path(place).is_file():
            rate, samples = self._archive(place)
        elif place.endswith(".raw"):
            rate, samples = self.sample_rate, raw(Path(place))
        else:
            return self._file(place, entry.begin, entry.end)
        first = round((entry.begin or 0) * rate)
        return rate, samples[first : None if entry.end is None else round(entry.end * rate)]

    def _file(self, place: str | io.BytesIO, begin: float | None, end: float | None) -> tuple[int, Samples]:
        import soundfile

        try:
            with soundfile.SoundFile(place) as stream:
                rate, length = int(stream.samplerate), int(stream.frames)
                first = round((begin or 0) * rate)
                last = length if end is None else min(length, round(end * rate))
                if first:
                    stream.seek(min(first, length))
                samples = stream.read(max(0, last - first), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            raise BadAudio(f"cannot be decoded: {error}") from None
        if len(samples) < last - first:
            raise BadAudio(f"truncated: {len(samples)} of {last - first} samples")
        if isinstance(place, str):
            if not ends_as_ogg_should(Path(place)):
                raise BadAudio("truncated: its last Ogg page is not marked as the end")
            if missing := bytes_missing(Path(place)):
                raise BadAudio(f"truncated: its header promises {missing} bytes more")
        return rate, mono(samples) * np.float32(32768)

    def _archive(self, place: str) -> tuple[int, Samples]:
        import kaldiio

        try:
            rate, samples = kaldiio.load_mat(place)
        except Exception as error:  # kaldiio raises whatever its parser stumbles over
            raise BadAudio(f"cannot be read from the archive: {error}") from None
        scale = 1 if np.issubdtype(samples.dtype, np.integer) else 32768
        return int(rate), mono(np.asarray(samples, np.float32).reshape(len(samples), -1)) * np.float32(scale)

    def _pipe(self, command: str) -> tuple[int, Samples]:
        if not self.allow_pipes:
            raise UserError(
                f"'{command}' runs a command; set corpus.allow_pipes: true if you trust this corpus"
            )
        done = subprocess.run(command[:-1], shell=True, capture_output=True, check=False)
        if done.returncode != 0 or not done.stdout:
            told = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no output"]
            raise BadAudio(f"its command failed with status {done.returncode}: {told[0]}")
        return self._file(io.BytesIO(done.stdout), None, None)

    def _resample(self, samples: Samples, rate: int) -> Samples:
        from torchaudio.functional import resample

        return np.asarray(resample(torch.from_numpy(samples), rate, self.sample_rate).numpy(), np.float32)


def ends_as_ogg_should(path: Path) -> bool:
    """False for an Ogg file that was cut off: decoders take what there is, since its head tells no length."""
    with path.open("rb") as stream:
        if stream.read(4) != b"OggS":
            return True
        stream.seek(max(0, path.stat().st_size - 66_000))  # a page has at most 65,307 bytes
        tail = stream.read()
    last = tail.rfind(b"OggS")
    segments = tail[last + 26] if last >= 0 and len(tail) > last + 27 else 0
    whole = len(tail) == last + 27 + segments + sum(tail[last + 27 : last + 27 + segments])
    return whole and bool(tail[last + 5] & 4)


def bytes_missing(path: Path) -> int:
    """How much shorter a RIFF file (wav) is than its header says: decoders take what there is."""
    with path.open("rb") as stream:
        head = stream.read(8)
    if head[:4] != b"RIFF":
        return 0
    promised = int.from_bytes(head[4:8], "little")
    if promised == 0 or promised >= LENGTH_UNKNOWN:
        return 0
    missing = promised + 8 - path.stat().st_size
    return missing if missing > 1 else 0  # the pad byte may be left out


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
