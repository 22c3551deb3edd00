"""Trainings in virtual time of the configured model on the configured corpus, each kept in a file of its own.

A synchronous strategy computes the same gradients on every cluster: it is trained once, and its clock is
simulated without values, with the sizes and the order of the model's gradient (`clocked`). What an
asynchronous one computes depends on who comes first: it is trained on each cluster (`trained`). Either gives
an `Outcome`, and what has been kept is not simulated again.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dasr import config as configuration
from dasr.config import Config, Run
from dasr.errors import UserError
from dasr.learner.learner import Budget
from dasr.planning import kept, workloads
from dasr.planning.simulate import Workload, simulate
from dasr.planning.timing_task import Anatomy
from dasr.progress import progress
from dasr.results.layout import Layout
from dasr.strategies import registry
from dasr.training import plan
from dasr.workers import workers
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.scheduler import SimulationError
from dasr.worlds.simulated.simulation import Simulation

TRAINING = (*kept.SIMULATOR, "tasks", "features", "models", "criteria", "training")
"""Packages whose text a training depends on."""
UTTERANCES = 100  # of dev, for the loss
POINTS = 20  # of a curve


@dataclass(frozen=True)
class Outcome:
    """One training on one cluster."""

    run: Run
    cluster: str
    samples: list[float]  # seen by all learners, at each point of the curve
    loss: list[float]  # held-out, of the consensus model, nats a frame
    seconds: list[float]  # virtual; from the start
    mb_sent: float  # by each learner, in the whole training
    wait_fraction: float
    staleness: float
    failed: str = ""  # why there is no curve
    trained: bool = False  # on this cluster; else once for all, and timed here


@dataclass(frozen=True)
class Lab:
    """Where trainings are made and kept; `lab_of` makes one."""

    config_path: Path
    config: Config
    folder: Path
    samples: int  # of train
    base: str  # names what all trainings depend on
    device: str = "cpu"  # where they train
    epochs: float | None = None  # instead of the configured ones

    def outcomes(
        self, wanted: Sequence[tuple[Run, Cluster]], jobs: int = 1, doing: str = "plan"
    ) -> Iterator[Outcome]:
        """An outcome for each, in that order, simulated by `jobs` processes. Raises UserError."""
        trainings = dict.fromkeys((run, ground_of(run, cluster)) for run, cluster in wanted)
        self._make([(_train, run, cluster) for run, cluster in trainings], jobs, f"{doing}: training")
        clocks = dict.fromkeys(pair for pair in wanted if not asynchronous(pair[0]))
        self._make([(_clock, run, cluster) for run, cluster in clocks], jobs, f"{doing}: timing")
        for run, cluster in wanted:
            yield self.outcome(run, cluster)

    def final_losses(self, wanted: Sequence[tuple[Run, Cluster]], jobs: int, doing: str) -> list[float]:
        """The held-out loss that each training ends with, infinite where it fails. Raises UserError."""
        grounds = [(run, ground_of(run, cluster)) for run, cluster in wanted]
        self._make([(_train, *each) for each in dict.fromkeys(grounds)], jobs, doing)
        records = [_train(self, *each) for each in grounds]
        return [one["curve"][-1]["loss"] if one["curve"] else math.inf for one in records]

    def outcome(self, run: Run, cluster: Cluster) -> Outcome:
        """Put together from what is kept; simulated now where it is not. Raises UserError."""
        training = _train(self, run, ground_of(run, cluster))
        timing = training if asynchronous(run) or training["failed"] else _clock(self, run, cluster)
        curve = [] if timing["failed"] else training["curve"]
        return Outcome(
            run=run,
            cluster=cluster.name,
            samples=[point["samples"] for point in curve],
            loss=[point["loss"] for point in curve],
            seconds=[point["seconds"] for point in timing["curve"]] if curve else [],
            mb_sent=timing["mb_sent_per_learner"],
            wait_fraction=timing["wait_fraction"],
            staleness=training["staleness_mean"],
            failed=timing["failed"],
            trained=asynchronous(run),
        )

    def _make(self, work: list[tuple[Callable[..., Any], Run, Cluster]], jobs: int, doing: str) -> None:
        left = [each for each in work if kept.read(self.file(each[0].__name__, *each[1:])) is None]
        if not left:
            return
        with workers(min(jobs, len(left)), "simulating", _one_thread) as pool:
            running = [pool.submit(make, self, run, cluster) for make, run, cluster in left]
            for done in progress(as_completed(running), doing, len(left)):
                done.result()

    def file(self, kind: str, run: Run, cluster: Cluster) -> Path:
        """Named by everything that the record depends on."""
        about = json.dumps([kind, asdict(run), asdict(cluster), self.budget(run).steps], default=str)
        return self.folder / f"{kept.name_of(self.base, about, kept.strategy_file(run.strategy))}.json"

    def budget(self, run: Run) -> Budget:
        """What `dasr train` would give that run, for these epochs."""
        training = self.config.training
        if self.epochs is not None:
            training = training.model_copy(update={"epochs": self.epochs})
        return plan.budget(training, self.samples, run.batch, run.learners)


def lab_of(config_path: Path, folder: Path, device: str = "cpu", epochs: float | None = None) -> Lab:
    """Raises UserError for a mistake in the configuration, or naming the stage to run first."""
    config = configuration.load(config_path)
    sections = [config.features, config.hmm, config.model, config.training, config.corpus]
    texts = [*(each.model_dump_json() for each in sections), *_data(config), device]
    base = kept.name_of(*texts, kept.code(TRAINING))
    return Lab(config_path, config, folder, workloads.samples_of(config), base, device, epochs)


def _data(config: Config) -> Iterator[str]:
    """What says which features, alignments and transcripts are trained on."""
    layout = Layout.of(config)
    for split in ("train", "dev"):
        folders = layout.features(config.features.kind, split), layout.alignment(split, 0).parent
        for path in [
            *(file for one in folders for file in sorted(one.glob("*/manifest.json"))),
            layout.text(split),
        ]:
            yield path.read_text("utf-8") if path.is_file() else ""


def asynchronous(run: Run) -> bool:
    return registry.find(run.strategy).asynchronous


def ground_of(run: Run, cluster: Cluster) -> Cluster:
    """Where a run is trained: on the cluster, or for a synchronous strategy on equal learners that are
    placed as there."""
    if asynchronous(run):
        return cluster
    return Cluster(
        name="equal learners",
        learners_per_node=cluster.learners_per_node,
        own_links=cluster.own_links,
        compute=Compute(fixed_s=1.0),
    )


def _train(lab: Lab, run: Run, cluster: Cluster) -> dict[str, Any]:
    """Train; the record. Raises UserError."""
    path = lab.file("_train", run, cluster)
    if (record := kept.read(path)) is not None:
        return record
    work = dataclasses.replace(
        workloads.corpus(
            lab.config_path, run.batch, run.seed, UTTERANCES, lab.device, changes=dict(run.training)
        ),
        local_losses=False,
        points=POINTS,
    )
    assert work.task is not None
    budget = lab.budget(run)
    record = {"run": run.name, "cluster": cluster.name, "failed": "", "curve": [], "staleness_mean": 0.0}
    record |= {"mb_sent_per_learner": 0.0, "wait_fraction": 0.0}
    try:
        result = simulate(
            run.strategy, budget, cluster, options=dict(run.options), seed=run.seed, workload=work
        )
    except (UserError, SimulationError) as error:  # the loss is not finite; a learner died
        record["failed"] = str(error)
    else:
        record |= result.record() | {"curve": result.curve}
        world = Simulation(cluster, run.learners).worlds[0]
        record["anatomy"] = asdict(Anatomy.of(work.task(world, run.batch, run.seed)))
    kept.write(path, record)
    return record


def _clock(lab: Lab, run: Run, cluster: Cluster) -> dict[str, Any]:
    """When a synchronous run reaches the points of its curve on that cluster; what it sends and waits."""
    path = lab.file("_clock", run, cluster)
    if (record := kept.read(path)) is not None:
        return record
    training = _train(lab, run, ground_of(run, cluster))
    if training["failed"]:
        return training
    about = training["anatomy"]
    parts = tuple((begin, end) for begin, end in about["parts"])
    anatomy = Anatomy(about["parameters"], tuple(map(tuple, about["shapes"])), parts)
    work = Workload(parameters=anatomy, clock=True, points=POINTS)
    options = dict(run.options)
    try:
        result = simulate(
            run.strategy, lab.budget(run), cluster, options=options, seed=run.seed, workload=work
        )
    except SimulationError as error:
        record = training | {"failed": str(error)}
    else:
        record = result.record() | {"curve": result.curve, "failed": ""}
    kept.write(path, record)
    return record


def _one_thread() -> None:
    """So that the answer is the same however many processes there are."""
    import torch

    torch.set_num_threads(1)
