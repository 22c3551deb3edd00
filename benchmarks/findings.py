"""Simulated convergence on a real corpus: claims of the papers, checked with several seeds.

    python -m benchmarks.findings --out findings.jsonl --record benchmarks/results   # two hours of one core

What is in --out already is not run again, so an interrupted run resumes; at the end the table is printed.

Every learner trains the configured model for real, in one process, under a virtual clock: learners are
equally fast but for jitter of 10 % a step, and the network costs nothing, so what differs is the
mathematics alone. The stages before training (features, alignments) must have run: `make run`. The recipe is
the config's, but for the learning rate: each strategy is given several at each batch, and judged by its best.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import commandline, records, report
from dasr import config as configuration
from dasr.errors import UserError
from dasr.planning.simulate import MakeOptimizer, Recipe, simulate
from dasr.planning.workloads import corpus
from dasr.tasks.data import AlignedShards
from dasr.training import plan
from dasr.workers import workers
from dasr.worlds.simulated.clusters import Cluster, Compute

EQUAL = Cluster(name="equal-learners", compute=Compute(fixed_s=1.0, jitter=0.1))
LEARNERS, SMALL_BATCH = 16, 64
RATES = (0.25, 0.5, 1.0, 2.0)  # for a batch of the recipe's reference_batch; in proportion to the batch
RING_RATE = 2.0  # of the comparison of rings


Options = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Trial:
    """One run."""

    strategy: str
    options: Options
    learners: int
    batch: int  # chunks a step of all learners
    seed: int
    rate: float  # for a batch of the recipe's reference_batch

    @property
    def label(self) -> str:
        return " ".join([self.strategy, *(str(value) for _, value in self.options)])


def trials(seeds: list[int], batches: list[int], chosen: list[float]) -> Iterator[Trial]:
    """What is compared, all of one seed before the next.

    Rings at one batch and rate; the synchronous baseline, its delayed kin and `ad` at that batch, 3 and 6
    times it, each at every rate. With rates that are `chosen` no rings."""
    ring, random_ring = (("mixing", "ring"),), (("mixing", "random-ring"),)
    rings: list[tuple[str, Options]] = [("sd", ring), ("sd", random_ring), ("ad", ring)]
    others: list[tuple[str, Options]] = [("sc-allreduce", ()), ("ad", random_ring), ("delay-by-one", ())]
    for seed in seeds:
        for strategy, options in rings if not chosen else ():
            yield Trial(strategy, options, LEARNERS, SMALL_BATCH, seed, RING_RATE)
        for batch in batches:
            usual = (*RATES, 2 * RATES[-1]) if batch == SMALL_BATCH else RATES
            for strategy, options in others:
                for rate in chosen or usual:
                    yield Trial(strategy, options, LEARNERS, batch, seed, rate)


def run(given: argparse.Namespace) -> None:
    """Each trial in a process of its own, so that memory is given back."""
    configuration.load(given.config)  # a mistake is told before any process starts
    done = {json.dumps(record["trial"]) for record in read(given.out)} if given.out.exists() else set()
    todo = [t for t in trials(given.seeds, given.batches, given.rates) if given.only in (t.strategy, "")]
    left = [one for one in todo if json.dumps(asdict(one)) not in done]
    with workers(given.jobs, "training", tasks_each=1) as pool:
        running = [pool.submit(record_of, one, given) for one in left]
        for number, finished in enumerate(as_completed(running), len(todo) - len(left) + 1):
            record = finished.result()
            with open(given.out, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            came = "diverged" if "diverged" in record else f"{record['curve'][-1]['loss']:.4f}"
            of = record["trial"]
            place = f"{record['label']} B={of['batch']} rate {of['rate']} seed {of['seed']}"
            print(f"{number}/{len(todo)} {place}: {came}, {record['wall_s']} s", flush=True)


def scaled(recipe: Recipe, factor: float) -> Recipe:
    """With `factor` times the learning rate."""

    def changed(strategy: str, learners: int) -> tuple[Callable[[int], float], MakeOptimizer]:
        rate, make_optimizer = recipe(strategy, learners)
        return lambda samples: factor * rate(samples), make_optimizer

    return changed


def record_of(one: Trial, given: argparse.Namespace) -> dict[str, Any]:
    """Train it."""
    config = configuration.load(given.config)
    training = config.training
    train = AlignedShards.of(config, "train")
    chunks = train.feed(train.model(config), training.chunk_frames, 1, 0, 1, 0).num_chunks
    began = time.perf_counter()
    workload = corpus(given.config, one.batch, one.seed, given.utterances, given.device)
    budget = plan.budget(training, chunks, one.batch, one.learners)
    factor = one.rate / training.learning_rate
    record: dict[str, Any] = {"trial": asdict(one), "label": one.label, "epochs": training.epochs}
    try:
        result = simulate(
            one.strategy,
            budget,
            EQUAL,
            options=dict(one.options),
            seed=one.seed,
            workload=replace(workload, recipe=scaled(workload.recipe, factor), points=given.points),
        )
        record |= {"curve": result.curve, "staleness_mean": result.staleness_mean}
    except UserError as error:  # the loss is not finite
        record |= {"diverged": str(error)}
    return record | {"wall_s": round(time.perf_counter() - began, 1)}


def read(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: the last one may have been cut off."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def summary(found: list[dict[str, Any]]) -> list[records.Row]:
    """A row a strategy, batch and rate: losses over seeds, and how many of them diverged."""
    groups: dict[tuple[int, str, float], list[dict[str, Any]]] = {}
    for one in found:
        place = one["trial"]["batch"], one["label"], one["trial"]["rate"]
        groups.setdefault(place, []).append(one)
    rows: list[records.Row] = []
    for (batch, label, rate), group in sorted(groups.items()):
        kept = [one for one in group if learned(one)]
        row: records.Row = {"batch": batch, "strategy": label, "rate": rate, "seeds": len(group)}
        row["diverged"] = len(group) - len(kept)
        if kept:
            curves = [one["curve"] for one in kept]
            row["heldout"] = spread([curve[-1]["loss"] for curve in curves])
            row["heldout_half_way"] = spread([curve[len(curve) // 2]["loss"] for curve in curves])
            row["consensus_distance"] = statistics.fmean(c[-1]["consensus_distance"] for c in curves)
            row["staleness"] = statistics.fmean(one["staleness_mean"] for one in kept)
        rows.append(row)
    return rows


def learned(record: dict[str, Any]) -> bool:
    """Whether it ended better than it began."""
    return "diverged" not in record and record["curve"][-1]["loss"] < record["curve"][0]["loss"]


def spread(values: list[float]) -> list[float]:
    """[mean, least, greatest]."""
    return [statistics.fmean(values), min(values), max(values)]


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--config", default="workflow/recipes/findings.yaml", help="the recipe")
    parser.add_argument("--out", type=Path, default=Path("findings.jsonl"), help="a line a trial")
    batches = [SMALL_BATCH, 3 * SMALL_BATCH, 6 * SMALL_BATCH]
    parser.add_argument("--batches", type=int, nargs="+", default=batches, help="chunks of all learners")
    parser.add_argument("--rates", type=float, nargs="+", default=[], help="instead of the usual ones")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one run each")
    parser.add_argument("--jobs", type=int, default=1, help="trials at once, each on a core and in 4 GB")
    parser.add_argument("--only", default="", help="a strategy")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    parser.add_argument("--utterances", type=int, default=60, help="of dev, for the held-out loss")
    parser.add_argument("--points", type=int, default=8, help="of the held-out curve")
    given = parser.parse_args()
    run(given)
    rows = summary(read(given.out))
    print(report.findings_table(rows))
    settings = {"learners": LEARNERS, "config": given.config, "utterances": given.utterances}
    commandline.keep(records.make("findings", rows, settings), given.record)


if __name__ == "__main__":
    commandline.run(main)
