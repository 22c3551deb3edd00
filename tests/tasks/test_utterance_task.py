"""Gradients of whole utterances: shared in any way they are the whole batch's; what cannot be used is
counted."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr import config as configuration
from dasr.config import Config
from dasr.features.utterance_feed import Share, UtteranceBatch
from dasr.learner.learner import Budget
from dasr.models import acoustic
from dasr.planning import workloads
from dasr.planning.simulate import simulate
from dasr.tasks import setup
from dasr.tasks.utterance_task import UtteranceTask
from dasr.training import heldout, snapshots
from dasr.training.run import train
from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.process.world import ProcessWorld
from dasr.worlds.simulated import presets
from tests.support.aligned_corpus import small_config
from tests.support.transcribed_corpus import ctc_config

RUN = "sc-allreduce-L2-B6-S0"


def nothing(part: Tensor) -> None:
    """Nobody waits for slices."""


def wide(task: UtteranceTask) -> UtteranceTask:
    """The same in float64."""
    task.model.double()
    task.flat = type(task.flat)(task.model)
    return task


def gradient_of(config: Config, rank: int, size: int, batch: int) -> tuple[Tensor, UtteranceTask]:
    share = Share(batch // size, rank, size, 0)
    data = setup.data_of(config, "train")
    model = data.model(config)
    feed = setup.feed_of(config, data, model, share)
    task = setup.task_of(config, model, feed, share, "cpu")
    assert isinstance(task, UtteranceTask)
    task = wide(task)
    gradient = torch.zeros_like(task.flat.weights)
    task.gradient(task.initial(), gradient, nothing)
    task.feed.close()
    return gradient, task


def ce_config(corpus: Path, **training: Any) -> Config:
    plain = small_config(corpus, **training).plain()
    model = {"kind": "conformer", "options": {"layers": 1, "width": 8, "heads": 2, "dropout": 0.0}}
    return configuration.complete({**plain, "model": model})


@pytest.mark.parametrize("criterion", ["ce", "ctc"])
@pytest.mark.parametrize("learners", [1, 2, 3, 5])
def test_the_mean_of_learners_gradients_is_that_of_one_learner_with_all_their_unequal_utterances(
    criterion: str, learners: int, corpus: Path, transcribed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sc-allreduce` takes just this mean. Frames are float64 from the normalisation on."""
    normalise = "dasr.models.frontend.normalise"
    monkeypatch.setattr(normalise, lambda f, mean, istd: (f.double() - mean.unsqueeze(1)) * istd.unsqueeze(1))
    config = ctc_config(transcribed) if criterion == "ctc" else ce_config(corpus, samples="utterances")
    batch = 2 * learners  # the shares of an aligned step are the batch of one learner
    shares = [gradient_of(config, rank, learners, batch)[0] for rank in range(learners)]
    whole, task = gradient_of(config, 0, 1, batch)
    assert len(set(task.feed.next().lengths.tolist())) > 1  # unequal
    task.feed.close()
    torch.testing.assert_close(torch.stack(shares).mean(0), whole, rtol=0, atol=1e-10)
    assert float(whole.abs().max()) > 1e-3


def test_padding_changes_no_gradient(transcribed: Path) -> None:
    config = ctc_config(transcribed)
    data, share = setup.data_of(config, "train"), Share(4, 0, 1, 0)
    feed = setup.feed_of(config, data, model := data.model(config), share)
    task = setup.task_of(config, model, feed, share, "cpu")
    assert isinstance(task, UtteranceTask)
    batch = task.feed.next()
    feed.close()
    longer = torch.cat([batch.frames, batch.frames[:, -1:].expand(-1, 8, -1)], dim=1)
    totals = [task.total(one) for one in (batch, UtteranceBatch(longer, *batch[1:]))]
    assert float(totals[0].detach()) == pytest.approx(float(totals[1].detach()), rel=1e-6)


def one_run(world: ProcessWorld, text: str) -> Any:
    torch.set_num_threads(1)
    config = configuration.parse(text, "test")
    return world.run(train(world, config, configuration.find_run(config, RUN)))


@pytest.mark.slow
def test_ctc_learns_in_processes_and_in_virtual_time_with_the_same_bits(
    transcribed: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    for part in ("features", "corpus"):
        (results / part).symlink_to(transcribed / part)
    training: dict[str, Any] = {
        "epochs": 30,
        "snapshots": 2,
        "learning_rate": 0.5,
        "reference_batch": 6,
        "warmup_epochs": 2,
    }
    training["augment"] = {"stretch": 0.1}
    config = ctc_config(results, anneal_after_epochs=30, **training)
    assert run_processes(2, functools.partial(one_run, text=config.text())) == [True, True]
    run_dir = results / "runs" / RUN
    assert acoustic.load(run_dir).num_outputs == 5
    last = snapshots.read(run_dir, 2)
    loss, right = heldout.of_split(config, "dev").score(last[0].weights)
    assert loss < 0.5 and right > 0.8

    path = tmp_path / "config.yaml"
    path.write_text(config.text())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    workload = replace(workloads.corpus(path, 6, 0), evaluate=None)
    simulated = simulate("sc-allreduce", Budget(90, 6, 2), presets.load("ideal"), workload=workload)
    torch.set_num_threads(threads)
    real = hashlib.sha256(b"".join(one.weights.numpy().tobytes() for one in last))
    assert simulated.weights_sha256 == real.hexdigest()
