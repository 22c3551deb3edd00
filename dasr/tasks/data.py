"""The shards of a split with their alignments, and the acoustic model that fits them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dasr.config import Config
from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.features.labels import read_labels
from dasr.features.pool import CPU
from dasr.features.resident import ResidentFeed
from dasr.features.store import Shard, read_manifest
from dasr.models.acoustic import AcousticModel
from dasr.results.layout import Layout, model_shards


@dataclass(frozen=True)
class AlignedShards:
    """One split: features and alignments, shard by shard."""

    features: list[Path]
    alignments: list[Path]
    feature_dim: int
    num_pdfs: int

    @classmethod
    def of(cls, config: Config, split: str) -> AlignedShards:
        """Find them under the results folder. Raises UserError naming the stage to run."""
        layout = Layout.of(config)
        features = model_shards(config, split)
        alignments = [layout.alignment(split, folder.name) for folder in features]
        for folder in alignments:
            if not (folder / "manifest.json").exists():
                raise UserError(
                    f"no alignment {folder}: run `dasr align --split {split} --shard {int(folder.name)}`"
                )
        dim, pdfs = read_manifest(features[0])["dim"], read_manifest(alignments[0])["num_pdfs"]
        return cls(features, alignments, int(dim), int(pdfs))

    def model(self, config: Config) -> AcousticModel:
        """A new acoustic model of the configured shape."""
        return AcousticModel(config.model.shape, self.feature_dim, self.num_pdfs)

    def feed(
        self,
        model: AcousticModel,
        chunk_frames: int,
        local_batch: int,
        rank: int,
        size: int,
        seed: int,
        device: torch.device = CPU,
    ) -> Feed:
        """Learner `rank`'s batches of `local_batch` chunks, gathered on `device`. Raises UserError where
        chunks do not fit the model."""
        if chunk_frames % model.subsampling:
            raise UserError(
                f"training.chunk_frames ({chunk_frames}) must be a multiple of the model's subsampling "
                f"({model.subsampling} frames an output)"
            )
        place = (self.features, self.alignments, chunk_frames, local_batch, rank, size, seed, model.margin)
        return Feed(*place) if device.type == "cpu" else ResidentFeed(device, *place)

    def utterances(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every aligned utterance: normalised frames float32 [T, dim], labels int64 [T]."""
        for features, alignment in zip(self.features, self.alignments, strict=True):
            shard = Shard.open(features)
            labels = torch.from_numpy(read_labels(alignment, shard)).long()
            for index in range(len(shard.utterances)):
                target = labels[shard.offsets[index] : shard.offsets[index + 1]]
                if bool((target >= 0).any()):
                    yield torch.from_numpy(shard.normalised(index)), target
