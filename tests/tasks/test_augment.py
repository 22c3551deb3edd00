"""Augmentation: what moves, what is hidden, what stays."""

import torch

from dasr.config import AugmentConfig
from dasr.tasks.augment import augment


def test_labels_move_with_their_frames_when_a_chunk_is_stretched() -> None:
    torch.manual_seed(0)
    length, margin = 21, 4
    ramp = torch.arange(-margin, length + margin).float().reshape(1, -1, 1).repeat(50, 1, 3)
    labels = torch.arange(length).repeat(50, 1)
    frames, moved = augment(ramp, labels, AugmentConfig(stretch=0.2))
    assert frames.shape == ramp.shape and not torch.equal(frames, ramp)
    inside = frames[:, margin:-margin, 0]
    counted = moved >= 0
    assert counted.float().mean() > 0.9
    assert (inside - moved)[counted].abs().max() <= 0.5 + 1e-4


def test_bands_no_wider_than_asked_are_hidden_and_all_else_is_left_alone() -> None:
    torch.manual_seed(0)
    ones = torch.ones(200, 25, 40)
    frames, labels = augment(ones, torch.zeros(200, 21), AugmentConfig(mask_bins=6, mask_frames=3))
    assert set(frames.unique().tolist()) == {0.0, 1.0}
    hidden_bins = (frames.amax(1) == 0).sum(1)
    hidden_frames = (frames.amax(2) == 0).sum(1)
    assert 6 < hidden_bins.max() <= 12 and hidden_frames.max() == 3 and hidden_frames.min() == 0
    assert torch.equal(labels, torch.zeros(200, 21))


def test_warping_scales_the_frequency_axis_of_each_chunk_by_one_factor() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(40.0).expand(30, 5, 40)
    frames, _ = augment(ramp, torch.zeros(30, 5), AugmentConfig(warp=0.1))
    factors = frames[:, :, 10] / 10
    assert (factors - 1).abs().max() <= 0.1 and factors[:, 0].std() > 0.03
    torch.testing.assert_close(frames[:, :, 30] / 30, factors)  # 30 * 1.1 < 39


def test_no_augmentation_changes_nothing() -> None:
    frames, labels = torch.randn(3, 9, 4), torch.zeros(3, 5)
    assert not AugmentConfig()
    same, its = augment(frames, labels, AugmentConfig())
    assert same is frames and its is labels
