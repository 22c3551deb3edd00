"""`dasr simulate` and `dasr calibrate`."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from dasr import checksums, columns, completion
from dasr.errors import UserError
from dasr.files import atomic
from dasr.planning.options import device, parsed
from dasr.validation import validated

if TYPE_CHECKING:
    from dasr.planning.simulate import SimulationResult
    from dasr.worlds.simulated.clusters import Cluster

logger = logging.getLogger(__name__)

SPEEDUP_STEPS = 32
PARAMETERS, LOCAL_BATCH = (
    43_154_944,
    128,
)  # the paper's model, where the cluster was not measured with another

Fault = TypeVar("Fault")


def _clusters(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """What a shell completes."""
    from dasr.worlds.simulated.presets import PRESETS

    return [name for name in PRESETS if name.startswith(begun)]


@click.command(context_settings={"show_default": True})
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    shell_complete=completion.strategies,
    help="A strategy; several: --strategy sd --strategy ad. [default: all]",
)
@click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Option of the strategies, say mixing=random-ring.",
)
@click.option(
    "--learners",
    multiple=True,
    type=click.IntRange(1),
    default=[8],
    help="How many; may be given several times.",
)
@click.option("--steps", type=click.IntRange(1), default=100, help="Batches of all learners together.")
@click.option(
    "--local-batch",
    type=click.IntRange(1),
    help=f"Samples (chunks) in one learner's batch.  [default: of a calibrated cluster, else {LOCAL_BATCH}]",
)
@click.option(
    "--cluster",
    default="ethernet-25g",
    shell_complete=_clusters,
    help="A preset (see `dasr clusters`), or a file as `dasr calibrate` writes it.",
)
@click.option(
    "--task",
    type=click.Choice(["timing", "quadratic", "corpus"]),
    default="timing",
    help="What they train: nothing (timing only), a noisy quadratic, the configured model and corpus.",
)
@click.option(
    "--parameters",
    type=click.IntRange(1),
    help=f"Size of the model on the wire.  [default: of a calibrated cluster, else {PARAMETERS}]",
)
@click.option("--learning-rate", type=float, default=0.1, help="Of the quadratic.")
@click.option("--config", "config_path", default="config.yaml", help="The configuration, for --task corpus.")
@click.option("--seed", "seeds", multiple=True, type=int, default=[0], help="May be given several times.")
@click.option(
    "--slow", multiple=True, metavar="RANK:FACTOR", help="A learner that computes FACTOR times slower."
)
@click.option("--pause", multiple=True, metavar="RANK:AT:SECONDS", help="A learner that stops for a while.")
@click.option("--dead", multiple=True, metavar="RANK:AT", help="A learner that dies.")
@click.option(
    "--speedup", is_flag=True, help="Timing of all strategies (or those given) for 1, 2, 4 ... learners."
)
@click.option("--max-learners", type=click.IntRange(1), default=1024, help="Where --speedup ends.")
@click.option("--jobs", type=click.IntRange(1), default=1, help="Simulations at once, each a process.")
@device
@columns.wide
@columns.tsv
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="JSON lines; the figure is put beside it (.svg). [default: to stdout, no figure]",
)
def simulate(
    strategies: tuple[str, ...],
    options: tuple[str, ...],
    learners: tuple[int, ...],
    steps: int,
    local_batch: int | None,
    cluster: str,
    task: str,
    parameters: int | None,
    learning_rate: float,
    config_path: str,
    seeds: tuple[int, ...],
    slow: tuple[str, ...],
    pause: tuple[str, ...],
    dead: tuple[str, ...],
    speedup: bool,
    max_learners: int,
    jobs: int,
    device: str,
    wide: bool,
    tsv: bool,
    out: Path | None,
) -> None:
    """Run strategies on virtual learners: what would this cluster give me?

    Timing only, to thousands of learners: speed-up, waiting, bytes. With a task, convergence too: all
    learners train for real in this process, under a virtual clock. The same seed gives the same bits.
    A table on a terminal (--wide, --tsv: anywhere); JSON lines into a pipe, and into --out.
    """
    from dasr.planning import figures, workloads
    from dasr.planning.sweep import Sweep
    from dasr.plugins import FILE
    from dasr.progress import progress
    from dasr.rehearsal.rehearse import require
    from dasr.strategies import registry
    from dasr.worlds.simulated import presets

    if speedup:
        learners, steps, task = tuple(_powers(max_learners)), min(steps, SPEEDUP_STEPS), "timing"
    where = presets.load(cluster)
    size = _size(where, cluster, parameters, local_batch)
    where = _with_faults(where, slow, pause, dead, max(learners) if speedup else min(learners))
    given = parsed(options)
    names = list(strategies) or [name for name in registry.names() if name != "single"]
    for name in names:
        registry.check(name, given)
        if FILE in name:
            require(name, given)
    points = [(name, count, seed) for name in names for count in learners for seed in seeds]
    sweep = Sweep(
        where, given, steps, size.local_batch, size.parameters, task, learning_rate, config_path, device
    )
    results: list[SimulationResult] = []
    table = wide or tsv or sys.stdout.isatty()  # for a person, not a program
    for result in progress(sweep.run(points, jobs), "simulate", len(points)):
        results.append(result)
        if out is None and not table:
            print(json.dumps(result.record()), flush=True)
    loss = workloads.LOSS.get(task, "loss")
    if tsv:
        print(columns.separated(figures.rows(results, loss)))
    elif table:
        print(figures.table(results, loss, None if wide else columns.width()))
    if out is not None:
        _write(results, out)
        figures.draw(results, out.with_suffix(".svg"), loss)
        logger.info("%d simulations in %s, figure in %s", len(results), out, out.with_suffix(".svg"))


@click.command(context_settings={"show_default": True})
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("cluster.yaml"), help="The description to write."
)
@click.option("--name", default="calibrated", help="The cluster's name in it.")
@click.option("--processes", type=click.IntRange(2), default=2, help="Learners on this host.")
@click.option(
    "--step-seconds", type=float, help="Time of one gradient. [default: measured, the demo model on this CPU]"
)
@click.option(
    "--local-batch", type=click.IntRange(1), default=16, help="Samples of the gradient that is measured."
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="cuda: a GPU for each learner; the gradient is that of the paper's model.",
)
@click.option("--max-mb", type=float, default=16.0, help="Largest message that is timed.")
@click.option("--repeats", type=click.IntRange(3), default=7, help="Of each measurement; medians are kept.")
def calibrate(
    out: Path,
    name: str,
    processes: int,
    step_seconds: float | None,
    local_batch: int,
    device: str,
    max_mb: float,
    repeats: int,
) -> None:
    """Time compute, exchange and all-reduce here; write a cluster description for `dasr simulate
    --cluster`."""
    from dasr.planning.calibration import measure
    from dasr.worlds.simulated import clusters

    cluster = measure(name, processes, step_seconds, local_batch, max_mb, repeats, device)
    clusters.save(cluster, out)
    seconds = cluster.compute.seconds(local_batch)
    logger.info(
        "%s: %s, %.1f ms; `dasr simulate --cluster %s` simulates that",
        out,
        cluster.measured,
        1e3 * seconds,
        out,
    )


def _write(results: Sequence[SimulationResult], out: Path) -> None:
    keep = checksums.sealed if out.parent.name == "simulation" else atomic  # that of a results folder
    with keep(out) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for result in results:
            stream.write(json.dumps(checksums.with_own(result.record())) + "\n")
            for point in result.curve:
                place = {"label": result.label, "strategy": result.strategy, "seed": result.seed}
                stream.write(json.dumps(checksums.with_own({"kind": "curve", **place, **point})) + "\n")


def _powers(most: int) -> Iterator[int]:
    count = 1
    while count <= most:
        yield count
        count *= 2


class Size(NamedTuple):
    """What a learner sends and computes in a simulation."""

    parameters: int
    local_batch: int


def _size(cluster: Cluster, name: str, parameters: int | None, local_batch: int | None) -> Size:
    """What was given, else what the cluster was measured with. What differs from that is said."""
    measured = cluster.measured
    if measured is None:
        return Size(parameters or PARAMETERS, local_batch or LOCAL_BATCH)
    usual = Size(measured.parameters or PARAMETERS, measured.local_batch)
    size = Size(parameters or usual.parameters, local_batch or usual.local_batch)
    if measured.parameters is None:
        logger.info(
            "%s: the time of a gradient was given; a model of %s parameters", name, f"{size.parameters:,}"
        )
    elif size.parameters != usual.parameters:
        logger.warning(
            "%s was measured with %s: its gradient takes another time than that of %s parameters",
            name, measured, f"{size.parameters:,}",
        )  # fmt: skip
    else:
        logger.info("%s was measured with %s", name, measured)
    if size.local_batch != usual.local_batch:
        logger.warning(
            "%s was measured with %d samples a gradient: the time of %d is extrapolated",
            name, usual.local_batch, size.local_batch,
        )  # fmt: skip
    return size


def _with_faults(
    cluster: Cluster, slow: Sequence[str], pause: Sequence[str], dead: Sequence[str], learners: int
) -> Cluster:
    """The cluster with faults of its first `learners`. Raises UserError for one of a learner beyond them."""
    from dasr.worlds.simulated.clusters import Death, Pause, Slow

    slows = _faults(Slow, ("rank", "factor"), slow, "--slow RANK:FACTOR")
    pauses = _faults(Pause, ("rank", "at_s", "seconds"), pause, "--pause RANK:AT:SECONDS")
    deaths = _faults(Death, ("rank", "at_s"), dead, "--dead RANK:AT")
    for option, faults in (("--slow", slows), ("--pause", pauses), ("--dead", deaths)):
        for fault in faults:
            if fault.rank >= learners:
                raise UserError(
                    f"{option}: there is no learner {fault.rank}; {learners} learners have ranks 0 to "
                    f"{learners - 1}"
                )
    return dataclasses.replace(
        cluster, slow=cluster.slow + slows, pauses=cluster.pauses + pauses, deaths=cluster.deaths + deaths
    )


def _faults(kind: type[Fault], names: Sequence[str], given: Sequence[str], form: str) -> tuple[Fault, ...]:
    found = []
    for rank, *values in _numbers(given, len(names), form):
        found.append(validated(kind, dict(zip(names, (int(rank), *values), strict=True)), form))
    return tuple(found)


def _numbers(given: Sequence[str], count: int, form: str) -> Iterator[list[float]]:
    for one in given:
        parts = one.split(":")
        if len(parts) != count or not all(re.fullmatch(r"\d+(\.\d*)?|\.\d+", part) for part in parts):
            raise UserError(f"'{one}' is not {form}")
        yield [float(part) for part in parts]
