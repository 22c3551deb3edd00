"""What whole utterances are trained on: the labels of an alignment, or the units of the transcript."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dasr.corpora import tables
from dasr.corpora.rejects import Rejects
from dasr.criteria.totals import outputs_needed
from dasr.criteria.units import Units
from dasr.features.labels import read_labels
from dasr.features.store import Shard
from dasr.features.utterance_feed import Labels, Positions


@dataclass(frozen=True)
class AlignedTargets:
    """Tied states of the frames, from alignment shards beside the feature shards."""

    alignments: Sequence[Path]
    subsampling: int  # frames an output

    def of_shard(self, index: int, shard: Shard) -> list[Labels | str]:
        labels = read_labels(self.alignments[index], shard)
        offsets = shard.offsets
        found = [labels[a:b] for a, b in itertools.pairwise(offsets)]
        return [one if (one >= 0).any() else "it has no alignment" for one in found]

    def weight(self, frames: int, target: Labels) -> int:
        return int((target[self.subsampling // 2 :: self.subsampling] >= 0).sum())

    def width(self, frames: int) -> int:
        return frames

    def fewest(self, target: Labels) -> int:
        return 1

    def moved(self, target: Labels, positions: Positions) -> Labels:
        """Each frame has the label of the one that it is nearest to."""
        return target[np.floor(positions + 0.5).astype(np.int64)]


@dataclass(frozen=True)
class UnitTargets:
    """Units of the transcripts; an utterance that has too few outputs for them is rejected."""

    texts: Sequence[Path]  # the `text` of each shard
    units: Units
    stride: int  # frames an input of the network
    subsampling: int  # inputs an output

    def outputs(self, frames: int) -> int:
        """Of an utterance."""
        return -(-(frames // self.stride) // self.subsampling)

    def of_shard(self, index: int, shard: Shard) -> list[Labels | str]:
        texts = tables.read_table(self.texts[index], Rejects("units"))
        lengths = np.diff(shard.offsets).tolist()
        return [
            self._target(texts.get(name), frames)
            for name, frames in zip(shard.utterances, lengths, strict=True)
        ]

    def _target(self, text: str | None, frames: int) -> Labels | str:
        if text is None:
            return "it has no transcript"
        units = self.units.encode(tables.fields(text))
        if isinstance(units, str):
            return f"the word {tables.describe(units)} is not in the lexicon"
        needed = outputs_needed(torch.tensor(units))
        if not units or self.outputs(frames) < needed:
            return f"its {self.outputs(frames)} outputs are too few for {len(units)} units ({needed} needed)"
        return np.array(units, np.int32)

    def weight(self, frames: int, target: Labels) -> int:
        return len(target)

    def width(self, frames: int) -> int:
        return self.outputs(frames)

    def fewest(self, target: Labels) -> int:
        needed = outputs_needed(torch.from_numpy(target))
        return self.stride * ((needed - 1) * self.subsampling + 1)

    def moved(self, target: Labels, positions: Positions) -> Labels:
        return target
