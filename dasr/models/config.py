"""What shape the acoustic model has: fields of the config's section `model`, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class ModelConfig:
    """The BLSTM and what it sees of each frame."""

    layers: int = 2  # bidirectional LSTM layers
    cells: int = 128  # LSTM cells a direction
    bottleneck: int = 128  # width of the linear layer before the outputs
    deltas: int = 0  # orders of differences added to the static features, 0 to 2
    splice: int = 0  # more frames on either side of each output's own
    subsampling: int = 3  # one output for this many frames, stacked: fewer steps, less computing
    dropout: float = 0.0  # between LSTM layers and before the bottleneck, in training

    @property
    def margin(self) -> int:
        """Frames on either side of a chunk that its inputs depend on (a difference reaches two)."""
        return 2 * self.deltas + self.splice

    def inputs(self, feature_dim: int) -> int:
        """Width of the network's input, for stored features of `feature_dim` a frame."""
        return feature_dim * (1 + self.deltas) * (self.subsampling + 2 * self.splice)


# swb2000 is the paper's network: with its 260 features a frame (40 FMLLR, 100 i-vector, 120 log-mel with
# deltas; imported through feats.scp) and 32,000 states it has 43,154,944 parameters, both biases counted.
PRESETS: dict[str, ModelConfig] = {
    "demo": ModelConfig(splice=2),
    "an4": ModelConfig(cells=256, bottleneck=256, splice=3, subsampling=1, dropout=0.4),
    "swb2000": ModelConfig(layers=6, cells=512, bottleneck=256, deltas=0, splice=0, subsampling=1),
}


def from_config(section: dict[str, Any]) -> ModelConfig:
    """The model that the config's section `model` asks for: its preset, with what is given beside it."""
    given = {key: value for key, value in section.items() if key != "preset"}
    return replace(PRESETS[section["preset"]], **given)
