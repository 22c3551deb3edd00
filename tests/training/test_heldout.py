"""Held-out figures of snapshots, against NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.training import heldout, snapshots
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


def test_with_an_average_each_line_is_of_the_mean_of_the_last_consensus_models(tmp_path: Path) -> None:
    class Starts(Scores):
        def __init__(self) -> None:
            self.model, self.flat = self, self
            self.weights = torch.zeros(2)

        def initialise(self, seed: int) -> None: ...

    rng = np.random.default_rng(1)
    models = rng.normal(size=(5, 2, 2)).astype(np.float32)  # [point, learner, weights]
    for point, learners in enumerate(models, 1):
        for rank, weights in enumerate(learners):
            snapshots.write(tmp_path, point, snapshot(rank, weights.tolist()))
    heldout.evaluate(Starts(), tmp_path, 0, average=3)
    lines = [json.loads(line) for line in (tmp_path / heldout.FILE).read_text().splitlines()]
    means = models.mean(1)
    expected = [means[max(0, point - 2) : point + 1].mean(0)[0] for point in range(5)]
    np.testing.assert_allclose([line["ce"] for line in lines], expected, rtol=1e-6)
    np.testing.assert_allclose([line["local_ce_max"] for line in lines], models[:, :, 0].max(1), rtol=1e-6)


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


def test_the_error_for_a_run_without_snapshots_says_to_train(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no snapshots: train it first"):
        heldout.evaluate(Scores(), tmp_path, 0)
