"""Simulated convergence on a real corpus: claims of the papers, checked with several seeds.

python benchmarks/findings.py run --out findings.jsonl   # an hour or two of one core; resumes
python benchmarks/findings.py table findings*.jsonl   # Markdown, for docs/findings.md

Every learner trains the configured model for real, in one process, under a virtual clock: learners are
equally fast but for jitter of 10 % a step, and the network costs nothing, so what differs is the
mathematics alone. The stages before training (features, alignments) must have run: `make run`. The recipe is
the config's; the learning rate grows with the batch (linear scaling, warm-up).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dasr import config as configuration
from dasr.errors import UserError
from dasr.training import config as training_config
from dasr.training.data import AlignedShards
from dasr.worlds.clusters import Cluster, Compute
from dasr.worlds.simulate import simulate
from dasr.worlds.tasks import corpus

EQUAL = Cluster(name="equal-learners", compute=Compute(fixed_s=1.0, jitter=0.1))
LEARNERS, SMALL_BATCH = 16, 64


@dataclass(frozen=True)
class Trial:
    """One run."""

    strategy: str
    options: tuple[tuple[str, Any], ...]
    learners: int
    batch: int  # chunks a step of all learners
    seed: int

    @property
    def label(self) -> str:
        return " ".join([self.strategy, *(str(value) for _, value in self.options)])


def trials(seeds: list[int]) -> Iterator[Trial]:
    """What is compared, all of one seed before the next.

    Rings at one batch; the synchronous baseline, its delayed kin and `ad` at that batch, 3 and 6 times it."""
    ring, random_ring = (("mixing", "ring"),), (("mixing", "random-ring"),)
    for seed in seeds:
        for strategy, options in (("sd", ring), ("sd", random_ring), ("ad", ring)):
            yield Trial(strategy, options, LEARNERS, SMALL_BATCH, seed)
        for times in (1, 3, 6):
            for strategy, options in (("sc-allreduce", ()), ("ad", random_ring), ("delay-by-one", ())):
                yield Trial(strategy, options, LEARNERS, times * SMALL_BATCH, seed)


def run(given: argparse.Namespace) -> None:
    """Each trial in a process of its own, so that memory is given back."""
    done = {json.dumps(record["trial"]) for record in read(given.out)} if given.out.exists() else set()
    todo = [t for t in trials(given.seeds) if given.only in (t.strategy, "")]
    left = [one for one in todo if json.dumps(asdict(one)) not in done]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, context, max_tasks_per_child=1) as pool:
        running = [pool.submit(record_of, one, given) for one in left]
        for number, finished in enumerate(as_completed(running), len(todo) - len(left) + 1):
            record = finished.result()
            with open(given.out, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")
            came = "diverged" if "diverged" in record else f"{record['curve'][-1]['loss']:.4f}"
            place = f"{record['label']} B={record['trial']['batch']} seed {record['trial']['seed']}"
            print(f"{number}/{len(todo)} {place}: {came}, {record['wall_s']} s", flush=True)


def record_of(one: Trial, given: argparse.Namespace) -> dict[str, Any]:
    """Train it."""
    config = configuration.load(given.config)
    training = training_config.from_config(config)
    train = AlignedShards.of(config, "train")
    chunks = train.feed(train.model(config), training.chunk_frames, 1, 0, 1, 0).num_chunks
    began = time.perf_counter()
    workload = corpus(given.config, one.batch, one.seed, given.utterances, given.device)
    budget = training.budget(chunks, one.batch, one.learners)
    record: dict[str, Any] = {"trial": asdict(one), "label": one.label, "epochs": training.epochs}
    try:
        result = simulate(
            one.strategy,
            one.learners,
            budget.steps,
            EQUAL,
            options=dict(one.options),
            share=budget.share,
            seed=one.seed,
            task=workload.task,
            evaluate=workload.evaluate,
            schedule=workload.schedule,
            momentum=workload.momentum,
            clip=workload.clip,
            points=given.points,
        )
        record |= {"curve": result.curve, "staleness_mean": result.staleness_mean}
    except UserError as error:  # the loss is not finite
        record |= {"diverged": str(error)}
    return record | {"wall_s": round(time.perf_counter() - began, 1)}


def read(path: Path) -> list[dict[str, Any]]:
    """Whole lines only: the last one may have been cut off."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def table(given: argparse.Namespace) -> None:
    """Mean over seeds, and the range in parentheses."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for record in (record for path in given.results for record in read(path)):
        groups.setdefault((record["trial"]["batch"], record["label"]), []).append(record)
    print("| batch | strategy | seeds | held-out CE | half way | consensus distance | staleness |")
    print("|---|---|---|---|---|---|---|")
    for (batch, label), records in sorted(groups.items()):
        kept = [record for record in records if "diverged" not in record]
        place = f"| {batch} | {label} | {len(records)} |"
        if len(kept) < len(records):
            print(f"{place} diverged in {len(records) - len(kept)} | | | |")
            continue
        curves = [record["curve"] for record in kept]
        end = spread([curve[-1]["loss"] for curve in curves])
        half = spread([curve[len(curve) // 2]["loss"] for curve in curves])
        distance = statistics.fmean(curve[-1]["consensus_distance"] for curve in curves)
        stale = statistics.fmean(record["staleness_mean"] for record in records)
        print(f"{place} {end} | {half} | {distance:.3g} | {stale:.1f} |")


def spread(values: list[float]) -> str:
    return f"{statistics.fmean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run", help="train; what is in --out already is not run again")
    runner.add_argument("--config", default="workflow/recipes/findings.yaml")
    runner.add_argument("--out", type=Path, default=Path("findings.jsonl"))
    runner.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    runner.add_argument("--jobs", type=int, default=1, help="trials at once, each on a core and in 4 GB")
    runner.add_argument("--only", default="", help="a strategy")
    runner.add_argument("--device", default="cpu", help="cpu or cuda:0")
    runner.add_argument("--utterances", type=int, default=60, help="of dev, for the held-out loss")
    runner.add_argument("--points", type=int, default=8, help="of the held-out curve")
    runner.set_defaults(do=run)
    printer = commands.add_parser("table", help="print a Markdown table of results files")
    printer.add_argument("results", type=Path, nargs="+")
    printer.set_defaults(do=table)
    given = parser.parse_args()
    given.do(given)


if __name__ == "__main__":
    main()
