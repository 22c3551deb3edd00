"""Held-out figures of snapshots, against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.training import heldout
from dasr.training.heldout import HeldOut
from dasr.training.snapshots import Snapshot


def snapshot(rank: int, weights: list[float], seconds: float = 1.0) -> Snapshot:
    return Snapshot(torch.tensor(weights), rank, samples=64, seconds=seconds, epochs=0.5)


class Scores:
    """A scorer whose loss is the first weight."""

    model: Any = None
    flat: Any = None
    priors_loss: float | None = None

    def score(self, weights: Tensor) -> tuple[float, float]:
        return float(weights[0]), 0.25


def test_the_consensus_is_the_mean_and_the_distance_the_mean_square_from_it() -> None:
    models = np.random.default_rng(0).normal(size=(3, 7)).astype(np.float32)
    mean, distance = heldout.consensus([snapshot(n, row.tolist()) for n, row in enumerate(models)])
    np.testing.assert_allclose(mean.numpy(), models.mean(0), atol=1e-6)
    assert distance == pytest.approx(((models - models.mean(0)) ** 2).sum(1).mean(), rel=1e-5)


def test_a_line_has_the_consensus_loss_and_the_range_of_the_learners_own() -> None:
    line = heldout.record(Scores(), [snapshot(0, [1.0, 0.0]), snapshot(1, [4.0, 0.0], seconds=3.0)])
    assert (line["ce"], line["local_ce_min"], line["local_ce_mean"], line["local_ce_max"]) == (2.5, 1, 2.5, 4)
    assert line["seconds"] == 3.0 and line["samples"] == 64 and line["frame_accuracy"] == 0.25
    assert line["consensus_distance"] == pytest.approx(2.25)


def test_guessing_by_frequency_costs_the_entropy_of_the_labels_that_count() -> None:
    found = heldout._entropy(torch.tensor([0, 0, 0, 1, -1, -1]))
    assert found == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))


def test_loss_and_accuracy_are_means_over_the_frames_that_have_a_label(corpus: Path) -> None:
    from dasr.tasks.data import AlignedShards
    from tests.support.aligned_corpus import small_config

    config = small_config(corpus)
    data = AlignedShards.of(config, "dev")
    model = data.model(config)
    utterances = list(data.utterances())[:3]
    scorer = HeldOut(model, utterances)
    weights = scorer.flat.weights.clone()
    loss, right = scorer.score(weights)
    step = model.subsampling
    scores = model.log_posteriors_of_groups([frames for frames, _ in utterances])
    pairs = [
        (row.detach().numpy(), int(label))
        for one, (_, labels) in zip(scores, utterances, strict=True)
        for row, label in zip(one, labels[step // 2 :: step], strict=True)
        if label >= 0
    ]
    assert loss == pytest.approx(-np.mean([row[label] for row, label in pairs]), rel=1e-5)
    assert right == pytest.approx(np.mean([row.argmax() == label for row, label in pairs]))


def test_a_run_without_snapshots_is_told_to_train(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no snapshots: train it first"):
        heldout.evaluate(Scores(), tmp_path, 0)
