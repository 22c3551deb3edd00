"""From stored features to the network's inputs, on the training device: normalise, deltas, splice, stack."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from dasr.config import ModelConfig
from dasr.features import deltas


def normalise(frames: Tensor, mean: Tensor, istd: Tensor) -> Tensor:
    """Speaker normalisation. frames: [chunks, T, dim], any float type; mean, istd: float32 [chunks, dim]."""
    return (frames.float() - mean.unsqueeze(1)) * istd.unsqueeze(1)


def inputs(frames: Tensor, config: ModelConfig, stride: int) -> Tensor:
    """Normalised frames [chunks, T + 2 * margin, dim] -> network inputs [chunks, T / stride, inputs].

    Each input stacks `subsampling` frames and `splice` more on either side; `stride` is the step between
    inputs: `subsampling` in training."""
    x = deltas.of_chunks(frames, config.deltas)
    windows = x.unfold(1, config.subsampling + 2 * config.splice, stride)  # [chunks, outputs, dim, window]
    return windows.transpose(2, 3).flatten(2)


def middle_labels(labels: Tensor, subsampling: int) -> Tensor:
    """The label of the middle frame of each group: [chunks, T] -> [chunks, T / subsampling]."""
    return labels[:, subsampling // 2 :: subsampling]


def every_frame(frames: Tensor, config: ModelConfig, beyond: int = 0) -> Tensor:
    """One input centred on each frame of a whole utterance, and on `beyond` more at either end, its first and
    last frame repeated: normalised [T, dim] -> [T + 2 beyond, inputs]."""
    middle, margin = config.subsampling // 2, config.margin + beyond
    before, after = margin + middle, margin + config.subsampling - 1 - middle
    padded = functional.pad(frames.T.unsqueeze(0), (before, after), mode="replicate")
    return inputs(padded.transpose(1, 2), config, stride=1)[0]
