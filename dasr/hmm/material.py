"""What is aligned: the MFCCs of some shards with the cepstral mean of each speaker removed, and the
transcripts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.config import FRAME_SHIFT_S
from dasr.corpora import tables
from dasr.corpora.rejects import SHOWN, Rejects
from dasr.errors import UserError, nearest
from dasr.features.store import Shard

LACKS = "is not in the lexicon"


@dataclass(frozen=True)
class AlignmentData:
    """frames: float32 [num_frames, dim], mean-normalised MFCCs of all utterances one after another;
    offsets: int64 [num_utts + 1]; transcripts: word ids, empty where the utterance cannot be used."""

    utterances: Sequence[str]
    frames: NDArray[np.float32]
    offsets: NDArray[np.int64]
    transcripts: Sequence[Sequence[int]]
    speaker_of: NDArray[np.int64]  # a number for each utterance

    @property
    def num_speakers(self) -> int:
        return int(self.speaker_of.max()) + 1

    def frames_of(self, index: int) -> NDArray[np.float32]:
        return self.frames[self.offsets[index] : self.offsets[index + 1]]

    def select(self, chosen: NDArray[Any]) -> AlignmentData:
        """The utterances with these numbers."""
        parts = [self.frames_of(n) for n in chosen]
        offsets = np.cumsum([0, *map(len, parts)])
        _, speakers = np.unique(self.speaker_of[chosen], return_inverse=True)
        names, said = [self.utterances[n] for n in chosen], [self.transcripts[n] for n in chosen]
        return AlignmentData(names, np.concatenate(parts), offsets, said, speakers.reshape(-1))


@dataclass(frozen=True)
class UtteranceIndex:
    """What there is to align in the shards of `folders`, before any frame is read. places: int64
    [num_utts, 2], the number of an utterance's shard and its place there; lengths: frames; transcripts: word
    ids, empty where the utterance cannot be used."""

    folders: Sequence[Path]
    utterances: Sequence[str]
    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    transcripts: Sequence[Sequence[int]]

    def usable(self) -> UtteranceIndex:
        """Without the utterances that have no transcript in known words. Raises UserError if none is left."""
        chosen = np.array([n for n, words in enumerate(self.transcripts) if words], int)
        if not len(chosen):
            raise UserError("there is no utterance whose words are all in the lexicon")
        return self.select(chosen)

    def limit_duration(self, seconds: float, frame_s: float = FRAME_SHIFT_S) -> UtteranceIndex:
        """Utterances spread evenly, about `seconds` of speech in all (everything if there is less)."""
        keep = min(1.0, seconds / (frame_s * max(1, int(self.lengths.sum()))))
        count = max(1, int(keep * len(self.utterances)))
        chosen = np.unique(np.linspace(0, len(self.utterances) - 1, count).round().astype(int))
        return self.select(chosen) if keep < 1 else self

    def select(self, chosen: NDArray[Any]) -> UtteranceIndex:
        """The utterances with these numbers."""
        names, said = [self.utterances[n] for n in chosen], [self.transcripts[n] for n in chosen]
        return UtteranceIndex(self.folders, names, self.places[chosen], self.lengths[chosen], said)

    def read(self) -> AlignmentData:
        """Read the frames of these utterances, a shard at a time. Raises UserError."""
        offsets = np.cumsum([0, *self.lengths])
        frames: NDArray[np.float32] | None = None
        speakers, begin, seen = np.zeros(len(self.utterances), np.int64), 0, 0
        for number in np.unique(self.places[:, 0]):
            shard = Shard.open(self.folders[number])
            if frames is None:
                frames = np.empty((offsets[-1], shard.dim), np.float32)
            stored = shard.read_frames()
            for place in self.places[self.places[:, 0] == number, 1]:
                speaker, here = shard.speaker_of[place], frames[offsets[begin] : offsets[begin + 1]]
                here[:] = stored[shard.offsets[place] : shard.offsets[place + 1]]
                here -= shard.speaker_mean[speaker]
                speakers[begin] = seen + speaker  # shards hold whole speakers
                begin += 1
            seen += len(shard.speakers)
        assert frames is not None
        _, numbers = np.unique(speakers, return_inverse=True)
        return AlignmentData(self.utterances, frames, offsets, self.transcripts, numbers.reshape(-1))


def listing(
    shards: Sequence[Path],
    text: Path,
    words: Mapping[str, int],
    rejects: Rejects,
    unknown: int | None = None,
) -> UtteranceIndex:
    """MFCC shards and their transcripts, `unknown` in the place of words that are not in `words`. What cannot
    be aligned goes to `rejects`. Raises UserError."""
    transcripts = tables.read_table(text, rejects)
    utterances: list[str] = []
    places, lengths, ids = [], [], []
    for number, folder in enumerate(shards):
        shard = Shard.open(folder)
        count = len(shard.utterances)
        places.append(np.stack([np.full(count, number), np.arange(count)], axis=1))
        lengths.append(np.diff(shard.offsets))
        utterances += shard.utterances
        ids += [_transcript(name, transcripts, words, text, rejects, unknown) for name in shard.utterances]
    if not utterances:
        raise UserError(f"no feature shards to align with {text}")
    return UtteranceIndex(shards, utterances, np.concatenate(places), np.concatenate(lengths), ids)


def untranscribed(folder: Path) -> UtteranceIndex:
    """The MFCC shard in `folder`, for a first pass. Raises UserError."""
    shard = Shard.open(folder)
    count = len(shard.utterances)
    places = np.stack([np.zeros(count, np.int64), np.arange(count)], axis=1)
    return UtteranceIndex([folder], shard.utterances, places, np.diff(shard.offsets), [()] * count)


def advice(rejects: Rejects) -> str:
    """What helps against words that the lexicon lacks, if that is (a part of) what is wrong."""
    unknown_word = "a line `<UNK> SPN` in the lexicon would stand for words that are not there"
    return unknown_word if any(LACKS in reason for reason in rejects.reasons.values()) else ""


def _transcript(
    utterance: str,
    transcripts: Mapping[str, str],
    words: Mapping[str, int],
    text: Path,
    rejects: Rejects,
    unknown: int | None,
) -> list[int]:
    said = tables.fields(transcripts.get(utterance, ""))
    if not said:
        rejects.add(utterance, f"no transcript in {text}")
    ids = [words.get(word, unknown) for word in said]
    if None in ids:
        word = said[ids.index(None)]
        meant = _meant(word, words) if len(rejects) < SHOWN else ""  # slow in a large lexicon
        rejects.add(utterance, f"word '{word}' {LACKS}{meant}")
        return []
    return [number for number in ids if number is not None]


def _meant(word: str, words: Mapping[str, int]) -> str:
    """What the word may stand for: itself in another Unicode normal form or case, or a similar one."""
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        other = unicodedata.normalize(form, word)
        if other != word and other in words:
            return f", which has it in the Unicode normal form {form}: convert both to one form"
    return nearest(word, words)
