"""The example of docs/add-a-model.md, typed as the page says: at most 40 lines, trained in both worlds."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dasr import config as configuration
from dasr.config import Config
from dasr.models import acoustic
from dasr.planning import check, workloads
from dasr.planning.simulate import simulate
from dasr.tasks.data import AlignedShards
from dasr.training import plan, snapshots
from dasr.training.heldout import HeldOut
from dasr.training.run import train
from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.process.world import ProcessWorld
from dasr.worlds.simulated import presets
from tests.docs import pages
from tests.support.aligned_corpus import small_config

# of each language the first
BLOCKS = {block.language: block.text for block in reversed(pages.blocks(pages.DOCS / "add-a-model.md"))}
RUN = "sc-allreduce-L2-B12-S0"


@pytest.fixture
def config(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """The page's configuration on a small corpus, in the folder where the file is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the processes: the order of a convolution's sums depends on it
    (tmp_path / "strided.py").write_text(BLOCKS["python"] + "\n")
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results"
    results.mkdir()
    for part in ("features", "alignments"):
        (results / part).symlink_to(corpus / part)
    given = small_config(results, snapshots=2, chunk_frames=8).plain()
    given["model"] = yaml.safe_load(BLOCKS["yaml"])["model"]
    yield configuration.complete(given)
    torch.set_num_threads(threads)


def one_run(world: ProcessWorld, text: str) -> Any:
    torch.set_num_threads(1)
    config = configuration.parse(text, "test")
    return world.run(train(world, config, configuration.find_run(config, RUN)))


def test_the_example_has_at_most_40_lines() -> None:
    assert len(BLOCKS["python"].splitlines()) <= 40


def test_the_example_learns_in_processes_and_in_virtual_time_with_the_same_bits(config: Config) -> None:
    check.check_inputs(config)
    check.check_runs(config)
    assert run_processes(2, functools.partial(one_run, text=config.text())) == [True, True]
    run_dir = Path(config.results) / "runs" / RUN
    model = acoustic.load(run_dir, own_kind=config.model.kind)
    assert model.options == {"width": 128, "dropout": 0.1}
    assert model.log_posteriors(torch.randn(21, 6)).shape == (21, 5)

    path = Path("config.yaml")
    path.write_text(config.text())
    data, training = AlignedShards.of(config, "train"), config.training
    chunks = data.feed(data.model(config), 8, 6, 0, 2, 0).num_chunks
    budget = plan.budget(training, chunks, 12, 2)
    workload = replace(workloads.corpus(path, 12, 0), evaluate=None)
    simulated = simulate("sc-allreduce", budget, presets.load("ideal"), workload=workload)
    last = snapshots.read(run_dir, 2)
    real = hashlib.sha256(b"".join(one.weights.numpy().tobytes() for one in last))
    assert simulated.weights_sha256 == real.hexdigest()

    held_out = HeldOut(data.model(config), list(AlignedShards.of(config, "dev").utterances()))
    new = data.model(config)
    new.initialise(0)
    first = torch.cat([parameter.detach().reshape(-1) for parameter in new.parameters()])
    assert held_out.score(last[0].weights)[0] < held_out.score(first)[0] - 0.2
