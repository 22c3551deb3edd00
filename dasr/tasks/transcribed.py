"""The shards of a split with their transcripts, and the acoustic model whose outputs are units of speech."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dasr.config import Config
from dasr.criteria.units import Units
from dasr.features.store import Shard, read_manifest
from dasr.features.utterance_feed import Share, UtteranceFeed
from dasr.models.acoustic import AcousticModel
from dasr.results.layout import Layout, model_shards
from dasr.tasks.targets import UnitTargets


@dataclass(frozen=True)
class TranscribedShards:
    """One split: features and the `text` of each shard."""

    features: list[Path]
    texts: list[Path]
    units: Units
    feature_dim: int

    @classmethod
    def of(cls, config: Config, split: str) -> TranscribedShards:
        """Find them under the results folder. Raises UserError naming the stage to run."""
        layout = Layout.of(config)
        features = model_shards(config, split)
        texts = [layout.data_shard(split, folder.name) / "text" for folder in features]
        units = Units.read(config.training.units, layout)
        return cls(features, texts, units, int(read_manifest(features[0])["dim"]))

    def model(self, config: Config) -> AcousticModel:
        """A new acoustic model of the configured shape."""
        return AcousticModel(config.model.shape, self.feature_dim, len(self.units.symbols))

    def targets(self, model: AcousticModel) -> UnitTargets:
        return UnitTargets(self.texts, self.units, model.config.subsampling, model.network.subsampling)

    def feed(self, config: Config, model: AcousticModel, share: Share) -> UtteranceFeed:
        """The learner's batches of whole utterances. Raises UserError if too many cannot be used."""
        return UtteranceFeed(
            self.features,
            self.targets(model),
            share,
            buckets=config.training.buckets,
            stretch=config.training.augment.stretch,
            context=model.config.margin,
            multiple=model.subsampling,
        )

    def utterances(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every utterance that can be spelled: normalised frames float32 [T, dim], units int64 [S]."""
        targets = UnitTargets(self.texts, self.units, 1, 1)
        for index, folder in enumerate(self.features):
            shard = Shard.open(folder)
            for number, target in enumerate(targets.of_shard(index, shard)):
                if not isinstance(target, str):
                    yield torch.from_numpy(shard.normalised(number)), torch.from_numpy(target).long()
