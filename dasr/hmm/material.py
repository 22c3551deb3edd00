"""What is aligned: the MFCCs of some shards with the cepstral mean of each speaker removed, and the
transcripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dasr.corpora.datadir import read_table
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError, nearest
from dasr.features.store import Shard


@dataclass(frozen=True)
class Material:
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

    def of(self, index: int) -> NDArray[np.float32]:
        return self.frames[self.offsets[index] : self.offsets[index + 1]]

    def lasting(self, seconds: float, frame_s: float = 0.01) -> Material:
        """Utterances spread evenly over the material, about `seconds` of speech in all (everything if there
        is less).
        """
        keep = min(1.0, seconds / max(frame_s * len(self.frames), frame_s))
        count = max(1, int(keep * len(self.utterances)))
        chosen = np.unique(np.linspace(0, len(self.utterances) - 1, count).round().astype(int))
        return self.only(chosen) if keep < 1 else self

    def usable(self) -> Material:
        """Without the utterances that have no transcript in known words."""
        return self.only(np.array([n for n, words in enumerate(self.transcripts) if words], int))

    def only(self, chosen: NDArray[Any]) -> Material:
        if not len(chosen):
            raise UserError("there is no utterance whose words are all in the lexicon")
        parts = [self.of(n) for n in chosen]
        offsets = np.cumsum([0, *map(len, parts)])
        _, speakers = np.unique(self.speaker_of[chosen], return_inverse=True)
        names, said = [self.utterances[n] for n in chosen], [self.transcripts[n] for n in chosen]
        return Material(names, np.concatenate(parts), offsets, said, speakers.reshape(-1))


def load(shards: Sequence[Path], text: Path, words: Mapping[str, int], rejects: Rejects) -> Material:
    """Read MFCC shards and their transcripts. What cannot be aligned goes to `rejects`. Raises UserError."""
    transcripts = read_table(text, rejects)
    utterances: list[str] = []
    frames, lengths, ids, speakers = [], [], [], []
    seen = 0
    for folder in shards:
        shard = Shard.open(folder)
        means = shard.speaker_mean[shard.speaker_of]
        sizes = np.diff(shard.offsets)
        frames.append(shard.frames.astype(np.float32) - np.repeat(means, sizes, axis=0))
        lengths.append(sizes)
        speakers.append(shard.speaker_of.astype(np.int64) + seen)  # shards hold whole speakers
        seen += len(shard.speakers)
        utterances += shard.utterances
        ids += [_transcript(name, transcripts, words, text, rejects) for name in shard.utterances]
    if not utterances:
        raise UserError(f"no feature shards to align with {text}")
    offsets = np.cumsum([0, *np.concatenate(lengths)])
    return Material(utterances, np.concatenate(frames), offsets, ids, np.concatenate(speakers))


def _transcript(
    utterance: str, transcripts: Mapping[str, str], words: Mapping[str, int], text: Path, rejects: Rejects
) -> list[int]:
    said = transcripts.get(utterance, "").split()
    if not said:
        rejects.add(utterance, f"no transcript in {text}")
    for word in said:
        if word not in words:
            rejects.add(utterance, f"word '{word}' is not in the lexicon{nearest(word, words)}")
            return []
    return [words[word] for word in said]
