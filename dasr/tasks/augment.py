"""Data augmentation: samples stretched in time, warped in frequency, bands and moments masked.

On the training device, drawn at random each time a sample is seen (how fast an utterance is played: by its
feed). Frequencies only of features whose neighbouring dimensions are neighbouring frequencies (log-mel
energies). Sources: speed perturbation, Ko et al. 2015; vocal tract length perturbation, Jaitly & Hinton 2013;
SpecAugment, Park et al. 2019 (arXiv 1904.08779).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dasr.config import AugmentConfig


def augment(frames: Tensor, labels: Tensor, config: AugmentConfig) -> tuple[Tensor, Tensor]:
    """Normalised frames [chunks, T + 2 * margin, bins], labels [chunks, T]; each chunk changed at random.

    A frame moves with its label; labels that would have to come from beyond the chunk become -1."""
    if config.stretch:
        frames, labels = _stretched(frames, labels, config.stretch)
    return disguised(frames, config), labels


def disguised(frames: Tensor, config: AugmentConfig) -> Tensor:
    """Normalised frames [samples, T, bins], warped in frequency and masked; time stays."""
    if config.warp:
        bins = torch.arange(frames.shape[2], device=frames.device) * _factor(frames, config.warp)
        frames = interpolated(frames.transpose(1, 2), bins).transpose(1, 2)
    for _ in range(2 if config.mask_bins else 0):
        frames = frames.masked_fill(_band(frames, 2, config.mask_bins).unsqueeze(1), 0.0)
    if config.mask_frames:
        frames = frames.masked_fill(_band(frames, 1, config.mask_frames).unsqueeze(2), 0.0)
    return frames


def _factor(frames: Tensor, most: float) -> Tensor:
    """A factor around 1 for each chunk, [chunks, 1]."""
    return 1 + most * (2 * torch.rand(len(frames), 1, device=frames.device) - 1)


def _stretched(frames: Tensor, labels: Tensor, most: float) -> tuple[Tensor, Tensor]:
    length = labels.shape[1]
    margin, middle = (frames.shape[1] - length) // 2, (length - 1) / 2
    factor = _factor(frames, most)
    positions = middle + (torch.arange(-margin, length + margin, device=frames.device) - middle) * factor
    nearest = positions[:, margin : margin + length].round().long()
    inside = (nearest >= 0) & (nearest < length)
    moved = labels.gather(1, nearest.clamp(0, length - 1)).masked_fill(~inside, -1)
    return interpolated(frames, positions + margin), moved


def interpolated(values: Tensor, positions: Tensor) -> Tensor:
    """values [samples, n, width] read at fractional positions [samples, m] along n: [samples, m, width]."""
    positions = positions.clamp(0, values.shape[1] - 1)
    below = positions.floor().long()
    above = (below + 1).clamp_max(values.shape[1] - 1)
    width = values.shape[2]
    low = values.gather(1, below.unsqueeze(2).expand(-1, -1, width))
    high = values.gather(1, above.unsqueeze(2).expand(-1, -1, width))
    return torch.lerp(low, high, (positions - below).unsqueeze(2).to(values.dtype))


def _band(frames: Tensor, axis: int, most: int) -> Tensor:
    """True on a band of 0 to `most` neighbours along `axis`, for each chunk: [chunks, size of that axis]."""
    size = frames.shape[axis]
    width = torch.rand(len(frames), 1, device=frames.device) * (most + 1)
    start = torch.rand(len(frames), 1, device=frames.device) * (size - width.floor())
    place = torch.arange(size, device=frames.device)
    return (place >= start.floor()) & (place < start.floor() + width.floor())
