"""`dasr predict`: the speed-up that a comparison's strategies would have with more learners, simulated.

Few learners come first, and no simulation begins after the time allowed is spent: then the curves end
earlier.
What was simulated once is kept in the user's cache folder, named by a hash of everything that it depends on,
so that another results folder of the same configuration simulates nothing."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dasr import checksums
from dasr import config as dasr_config
from dasr.config import Config, runs
from dasr.planning import kept
from dasr.progress import progress
from dasr.results.layout import Layout
from dasr.workers import cores, workers

if TYPE_CHECKING:
    from dasr.worlds.simulated.clusters import Cluster

logger = logging.getLogger(__name__)

PARAMETERS, LOCAL_BATCH = 43_154_944, 128  # the paper's model; a calibrated cluster has its own
STEPS = 32  # batches of all learners together


@dataclass(frozen=True)
class Point:
    """One simulation: a strategy with the options that the comparison gives it, and how many learners."""

    strategy: str
    options: tuple[tuple[str, Any], ...]
    learners: int

    def simulated(self, cluster: Cluster) -> dict[str, Any]:
        """Its record. A calibrated cluster is simulated with what it was measured with. Raises UserError."""
        from dasr.planning.sweep import Sweep

        measured = cluster.measured
        local_batch = measured.local_batch if measured else LOCAL_BATCH
        parameters = (measured.parameters if measured else None) or PARAMETERS
        sweep = Sweep(cluster, dict(self.options), STEPS, local_batch, parameters)
        return sweep.one((self.strategy, self.learners, 0)).record()


def points(config: Config) -> list[Point]:
    """Every compared strategy but `single`, with 1, 2, 4 ... learners; few learners first."""
    compared = dict.fromkeys((run.strategy, run.options) for run in runs(config) if run.strategy != "single")
    counts = [1 << power for power in range(config.simulation.max_learners.bit_length())]
    return [Point(*each, learners) for learners in counts for each in compared]


def records(config: Config, seconds: float, jobs: int = 1) -> Iterator[dict[str, Any]]:
    """The record of each point that the cache has, or that is simulated within `seconds`; `jobs`: processes.

    Raises UserError."""
    from dasr.worlds.simulated import presets

    cluster = presets.load(config.simulation.cluster)
    base = kept.name_of(json.dumps(asdict(cluster), default=str), kept.code())
    record = partial(_record, cluster, base, time.monotonic() + seconds)
    if jobs == 1:
        yield from filter(None, map(record, points(config)))
        return
    with workers(jobs, "simulating") as pool:
        yield from filter(None, pool.map(record, points(config)))


def _record(cluster: Cluster, base: str, end: float, point: Point) -> dict[str, Any] | None:
    """From the cache, which is asked for large ones too, or simulated before `end` (time.monotonic())."""
    texts = base, json.dumps(asdict(point)), kept.strategy_file(point.strategy)
    path = cache_folder() / f"{kept.name_of(*texts)}.json"
    record = kept.read(path)
    if record is None and time.monotonic() < end:
        record = point.simulated(cluster)
        kept.write(path, record)
    return record


@click.command(context_settings={"show_default": True})
@click.option("--config", "config_path", default="config.yaml", help="configuration")
@click.option("--seconds", type=click.FloatRange(0), default=60.0, help="In which a simulation may begin.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=cores,
    show_default="all cores",
    help="Simulations at once, each a process.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="[default: simulation/speedup.jsonl of the results]"
)
def predict(config_path: str, seconds: float, jobs: int, out: Path | None) -> None:
    """Simulate the compared strategies with 1, 2, 4 ... learners on the configured cluster, timing only.

    Simulations are kept in the user's cache folder and not repeated."""
    config = dasr_config.load(config_path)
    wanted = len(points(config))
    out = out or Layout.of(config).simulation / "speedup.jsonl"
    done = 0
    with checksums.sealed(out) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for record in progress(records(config, seconds, jobs), "predict", wanted):
            stream.write(json.dumps(record) + "\n")
            done += 1
    left = f"; {wanted - done} were left out after {seconds:g} s" if done < wanted else ""
    logger.info("%d simulations in %s%s", done, out, left)


def cache_folder() -> Path:
    """dasr/predictions in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dasr" / "predictions"
