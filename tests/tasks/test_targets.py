"""What an utterance is trained on, and why one cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasr.features.store import Shard
from dasr.tasks.targets import AlignedTargets, UnitTargets
from dasr.tasks.transcribed import TranscribedShards
from tests.support.transcribed_corpus import ctc_config


@pytest.mark.parametrize(("frames", "outputs"), [(12, 2), (13, 2), (16, 2), (17, 2), (18, 3)])
def test_outputs_are_inputs_of_some_frames_rounded_up(transcribed: Path, frames: int, outputs: int) -> None:
    units = TranscribedShards.of(ctc_config(transcribed), "dev").units
    assert UnitTargets([], units, 2, 4).outputs(frames) == outputs


def test_an_utterance_without_words_of_the_lexicon_says_which(transcribed: Path, tmp_path: Path) -> None:
    data = TranscribedShards.of(ctc_config(transcribed), "dev")
    shard = Shard.open(data.features[0])
    names = shard.utterances
    lines = [f"{names[0]} AB ZEBRA", *(f"{name} AB" for name in names[2:])]
    (tmp_path / "text").write_text("\n".join(lines) + "\n")
    found = UnitTargets([tmp_path / "text"], data.units, 1, 1).of_shard(0, shard)
    assert isinstance(found[0], str) and "ZEBRA" in found[0] and "not in the lexicon" in found[0]
    assert found[1] == "it has no transcript"
    assert all(isinstance(one, np.ndarray) for one in found[2:])


def test_labels_that_an_output_is_trained_on_are_counted() -> None:
    labels = np.array([4, -1, -1, 7, 8, 9, -1, 3], np.int32)
    assert AlignedTargets([], 1).weight(8, labels) == 5
    assert AlignedTargets([], 2).weight(8, labels) == 3  # frames 1, 3, 5, 7
    assert AlignedTargets([], 4).weight(8, labels) == 0  # frames 2 and 6


def test_labels_follow_their_frames_to_another_speed_and_units_stay() -> None:
    labels, positions = np.array([4, -1, 7], np.int32), np.array([0.0, 0.4, 0.6, 1.4, 2.0])
    assert AlignedTargets([], 1).moved(labels, positions).tolist() == [4, 4, -1, -1, 7]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("subsampling", [1, 4])
def test_the_fewest_frames_of_units_are_those_below_which_outputs_do_not_suffice(
    transcribed: Path, stride: int, subsampling: int
) -> None:
    units = TranscribedShards.of(ctc_config(transcribed), "dev").units
    targets = UnitTargets([], units, stride, subsampling)
    one = np.array([1, 2, 2, 3], np.int32)  # five outputs: a blank stands between the equal ones
    assert targets.moved(one, np.arange(3.0)) is one
    assert targets.outputs(targets.fewest(one)) == 5 and targets.outputs(targets.fewest(one) - 1) == 4
