"""The feature shard: one Zarr store of frames with offsets and speaker statistics, and the manifest beside
it.

A shard is a folder `NNNN/` with `frames.zarr` and `manifest.json`. The manifest is written last: a folder
without it is not a shard. Arrays are stored uncompressed (log-mel energies in float16 hardly compress), so
reading runs at disk speed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dasr import checksums
from dasr.errors import UserError
from dasr.files import atomic, check_place

CHUNK_FRAMES = 65_536
ISTD_FLOOR = 1e-3  # a dimension that never varies (digital silence) must not be blown up


def write_arrays(target: Path, arrays: Mapping[str, NDArray[Any]], attributes: Mapping[str, Any]) -> None:
    """Write a Zarr group at `target` atomically: uncompressed arrays in chunks of up to 65,536 rows."""
    with atomic(target) as temporary:
        group = zarr.create_group(store=str(temporary), zarr_format=3)
        for name, array in arrays.items():
            chunks = (max(1, min(CHUNK_FRAMES, array.shape[0])), *array.shape[1:])
            # By default zarr leaves out chunks of zeros (a shard with one speaker): they would look missing.
            config = {"write_empty_chunks": True}
            group.create_array(
                name, data=np.ascontiguousarray(array), chunks=chunks, compressors=None, config=config
            )
        group.attrs.update(dict(attributes))


def read_array(group: Any, name: str, where: Path) -> NDArray[Any]:
    """One whole array of a Zarr group. Raises UserError if it is absent, truncated or incomplete.

    zarr fills chunks that are missing with zeros without a word, so their number is checked first.
    """
    try:
        array = group[name]
        missing = array.nchunks - array.nchunks_initialized
        if missing:
            raise UserError(
                f"{where} is incomplete: {missing} of {array.nchunks} chunks of '{name}' missing; {REMAKE}"
            )
        return np.asarray(array[...])
    except UserError:
        raise
    except KeyError:
        raise UserError(f"{where} has no array '{name}'; {REMAKE}") from None
    except Exception as error:  # zarr raises whatever its parsers of metadata and chunks stumble over
        raise UserError(f"{where} is truncated or corrupt ({name}: {_line(error)}); {REMAKE}") from None


def open_group(path: Path) -> Any:
    """A Zarr group. Raises UserError."""
    try:
        return zarr.open_group(str(path), mode="r")
    except Exception as error:  # as above
        raise UserError(f"{path} cannot be opened: {_line(error)}; {REMAKE}") from None


REMAKE = "delete its folder and rerun the stage that makes it"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def checksum(arrays: Sequence[NDArray[Any]]) -> str:
    """CRC-32 over the bytes of all arrays in order, as `crc32:xxxxxxxx`."""
    return checksums.of_bytes(np.ascontiguousarray(array).data.cast("B") for array in arrays if array.size)


def _names_checksum(utterances: Sequence[str], speakers: Sequence[str]) -> str:
    return checksums.of_bytes([json.dumps([list(utterances), list(speakers)]).encode()])


def read_manifest(folder: Path) -> dict[str, Any]:
    """`manifest.json` of a shard's folder. Raises UserError if it is missing or broken."""
    if not (folder / checksums.MANIFEST).is_file():
        raise UserError(f"{folder} is not a finished shard (no manifest.json); rerun the stage that makes it")
    return checksums.read_manifest(folder)


def speaker_statistics(
    frames: NDArray[np.float16], offsets: NDArray[np.int64], speaker_of: NDArray[np.int32], num_speakers: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and inverse standard deviation of each speaker, float32 [num_speakers, dim], accumulated in
    float64.
    """
    dim = frames.shape[1]
    total, squares = np.zeros((num_speakers, dim)), np.zeros((num_speakers, dim))
    counts = np.zeros((num_speakers, 1))
    for index, speaker in enumerate(speaker_of):
        part = frames[offsets[index] : offsets[index + 1]].astype(np.float64)
        total[speaker] += part.sum(0)
        squares[speaker] += (part**2).sum(0)
        counts[speaker] += len(part)
    mean = total / np.maximum(counts, 1)
    variance = squares / np.maximum(counts, 1) - mean**2
    return mean.astype(np.float32), (1 / np.sqrt(np.maximum(variance, ISTD_FLOOR**2))).astype(np.float32)


@dataclass(frozen=True)
class Utterance:
    """One utterance to be written into a shard. frames: float [num_frames, dim], not normalised."""

    name: str
    speaker: str
    frames: NDArray[np.floating[Any]]


def write_shard(
    folder: Path, utterances: Sequence[Utterance], kind: str, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write `folder/frames.zarr`, then `folder/manifest.json` with counts, `about` and a checksum; return the
    manifest.

    Raises UserError if there is nothing to write.
    """
    if not utterances:
        raise UserError(
            f"{folder}: no utterance is left to write; see rejected.jsonl of the corpus, or use fewer shards"
        )
    check_place(folder / checksums.MANIFEST)
    (folder / "manifest.json").unlink(missing_ok=True)
    for left in folder.glob(".*.tmp"):  # by a writer that was killed; a shard has one writer at a time
        shutil.rmtree(left, ignore_errors=True)
    frames = np.concatenate([u.frames.astype(np.float16) for u in utterances])
    offsets = np.cumsum([0, *(len(u.frames) for u in utterances)], dtype=np.int64)
    speakers = sorted({u.speaker for u in utterances})
    number = {speaker: index for index, speaker in enumerate(speakers)}
    speaker_of = np.array([number[u.speaker] for u in utterances], np.int32)
    mean, istd = speaker_statistics(frames, offsets, speaker_of, len(speakers))
    arrays: dict[str, NDArray[Any]] = dict(
        zip(ARRAYS, (frames, offsets, speaker_of, mean, istd), strict=True)
    )
    names = [u.name for u in utterances]
    write_arrays(
        folder / "frames.zarr",
        arrays,
        {"utterances": names, "speakers": speakers, "kind": kind, "frame_shift_ms": 10.0},
    )
    counts = {"num_frames": len(frames), "num_utterances": len(names), "dim": frames.shape[1]}
    sums = {"checksum": checksum(list(arrays.values())), "names_checksum": _names_checksum(names, speakers)}
    manifest = {"kind": kind, **counts, **about, **sums}
    checksums.write_manifest(folder, manifest)
    return manifest


ARRAYS = ("frames", "offsets", "speaker_of", "speaker_mean", "speaker_istd")


class Shard:
    """A finished feature shard, opened for reading; small arrays are read at once, frames when first asked
    for.

    offsets: int64 [num_utts + 1]; speaker_of: int32 [num_utts]; speaker_mean, speaker_istd: float32
    [num_speakers, dim].
    """

    def __init__(self, folder: Path) -> None:
        """Open the shard in `folder`. Raises UserError if store and manifest do not agree."""
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._path = self.folder / "frames.zarr"
        self._group = open_group(self._path)
        self.utterances: list[str] = list(self._group.attrs.get("utterances", []))
        self.speakers: list[str] = list(self._group.attrs.get("speakers", []))
        self.offsets: NDArray[np.int64] = read_array(self._group, "offsets", self._path)
        self.speaker_of: NDArray[np.int32] = read_array(self._group, "speaker_of", self._path)
        self.speaker_mean: NDArray[np.float32] = read_array(self._group, "speaker_mean", self._path)
        self.speaker_istd: NDArray[np.float32] = read_array(self._group, "speaker_istd", self._path)
        self._check()

    @classmethod
    def open(cls, folder: Path | str) -> Shard:
        return cls(Path(folder))

    def _check(self) -> None:
        shape = self._shape()
        stated = (self.manifest.get("num_frames"), self.manifest.get("dim"))
        frames = int(self.offsets[-1]) if self._are_offsets() else None
        found = (len(self.utterances), frames, *self.speaker_mean.shape)
        right = (self.manifest.get("num_utterances"), stated[0], len(self.speakers), stated[1])
        if shape != stated or found != right:
            raise UserError(
                f"{self._path} does not match its manifest.json (frames {shape}, manifest {stated}); {REMAKE}"
            )
        if _names_checksum(self.utterances, self.speakers) != self.manifest.get("names_checksum"):
            raise UserError(
                f"{self._path}: utterances or speakers do not have the checksum of manifest.json; {REMAKE}"
            )

    def _are_offsets(self) -> bool:
        """Whether they lead from 0 upwards, one more than utterances: parts are cut by them."""
        offsets = self.offsets
        right = offsets.shape == (len(self.utterances) + 1,)
        return right and offsets[0] == 0 and bool((np.diff(offsets) >= 0).all())

    def _shape(self) -> tuple[int, ...]:
        """Of the frames, before they are read. Raises UserError."""
        try:
            return tuple(self._group["frames"].shape)
        except Exception as error:  # as in read_array
            raise UserError(f"{self._path} is corrupt (frames: {_line(error)}); {REMAKE}") from None

    @property
    def dim(self) -> int:
        return int(self.manifest["dim"])

    @property
    def num_frames(self) -> int:
        return int(self.manifest["num_frames"])

    @cached_property
    def frames(self) -> NDArray[np.float16]:
        """All frames, float16 [num_frames, dim], not normalised; kept in memory."""
        return self.read_frames()

    def read_frames(self) -> NDArray[np.float16]:
        """All frames read from disk now and checked against the manifest's checksum. Raises UserError."""
        frames = read_array(self._group, "frames", self._path)
        if checksum(
            [frames, self.offsets, self.speaker_of, self.speaker_mean, self.speaker_istd]
        ) != self.manifest.get("checksum"):
            raise UserError(f"{self._path} does not have the checksum of its manifest.json; {REMAKE}")
        return frames

    def utterance(self, index: int) -> NDArray[np.float16]:
        """Frames of one utterance, float16 [num_frames, dim], as stored."""
        return self.frames[self.offsets[index] : self.offsets[index + 1]]

    def normalised(self, index: int) -> NDArray[np.float32]:
        """Frames of one utterance, float32 [num_frames, dim], with zero mean and unit variance over its
        speaker.
        """
        speaker = self.speaker_of[index]
        mean, istd = self.speaker_mean[speaker], self.speaker_istd[speaker]
        normalised: NDArray[np.float32] = (self.utterance(index).astype(np.float32) - mean) * istd
        return normalised
