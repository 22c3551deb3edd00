"""Every strategy and every compression for some steps on real processes: held-out loss of the consensus
model.

    torchrun --nproc-per-node 2 -m benchmarks.smoke_matrix --features F --alignments A --device cpu \
        --record cpu.json
    torchrun --nproc-per-node 2 -m benchmarks.smoke_matrix --features F --alignments A --reference cpu.json

The last shard is held out. With --reference the means over seeds are compared with that run's (gloo on CPUs,
say): asynchronous runs differ from time to time, and some others with every rounding. What the former learn
also depends on how learners share the steps: gradients should be as long as the reference's (--least-ms), or
the reference's learners share them as these do (--narrow --slow). What rounding alone does to the others is
seen with 16 bits on CPUs (--narrow).
"""

from __future__ import annotations

import argparse
import functools
import gc
import io
import json
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.nn import functional

from benchmarks import commandline, records
from benchmarks.launched import launched
from benchmarks.throughput_clock import Slowed
from dasr.config import ModelConfig
from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.models import frontend
from dasr.models.acoustic import AcousticModel
from dasr.strategies import registry
from dasr.strategies.parts.compression import CODECS
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.captured_task import CapturedTask
from dasr.tasks.task import CopiesWeights
from dasr.worlds.process.world import ProcessWorld, connect

CHUNK = 21  # frames
WARM_UP = 30  # steps
ADAMW = 1 / 500  # of --rate: 1e-3, as usual. At five times that rounding alone moves a loss by 2 %
MODEL = ModelConfig(layers=2, cells=128, bottleneck=64, subsampling=1)


class HeldOut:
    """Loss per frame of flat weights on the same chunks of the held-out shard, in float32."""

    def __init__(self, feed: Feed, model: AcousticModel, device: str):
        self.model, self.device = model.to(device).eval(), device
        self.batches = [feed.next() for _ in range(feed.num_chunks // feed.batch)]
        feed.close()

    @torch.inference_mode()
    def loss(self, weights: Tensor) -> float:
        torch.nn.utils.vector_to_parameters(weights.clone(), self.model.parameters())
        total = count = 0.0
        for batch in self.batches:
            frames, mean, istd, labels = (part.to(self.device) for part in batch)
            logits = self.model(frontend.normalise(frames, mean, istd)).flatten(0, 1)
            targets = labels.flatten().long()
            total += float(functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum"))
            count += float((targets >= 0).sum())
        return total / count


def cases(only: set[str]) -> list[tuple[str, str, dict[str, Any]]]:
    """(label, strategy, options): all strategies as they come; some with every compression; `ad` that mixes
    less, as it does on GPUs. `only`: strategies or labels, if there are any."""
    found: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in registry.names() if name != "single"]
    found.append(("ad", {"pace": 4.0}))
    for name in ("sc-allreduce", "sd", "ad"):
        found += [(name, {"compression": codec}) for codec in CODECS if codec != "fp32"]
    labelled = [(" ".join([name, *map(str, options.values())]), name, options) for name, options in found]
    return [case for case in labelled if not only or only & {*case[:2]}]


def losses_of(record: records.Record) -> dict[str, dict[str, float]]:
    """Held-out losses of a smoke matrix: case -> seed -> loss."""
    return {row["case"]: row["loss"] for row in record.rows}


def slowed(task: Any, factor: float, least_s: float) -> Any:
    """The task, or one whose gradients last `factor` times as long, and at least `least_s`."""
    return Slowed(task, factor, least_s) if factor > 1 or least_s else task


def compare(label: str, losses: dict[str, float], known: dict[str, float]) -> None:
    """Print the mean loss beside the reference's, over the seeds that both have."""
    if both := losses.keys() & known.keys():
        here, there = (mean(found[seed] for seed in both) for found in (losses, known))
        print(f"{label:28} mean {here:.5f} ({there:.5f})  {100 * (here / there - 1):+.3f} %", flush=True)


async def consensus(world: ProcessWorld, learner: Learner, run: Any) -> tuple[Tensor, list[int]]:
    """The mean of the learners' weights after `run`, which all begin together, compiled and captured, and the
    steps of each."""
    if isinstance(learner.task, CopiesWeights):
        learner.task.load_weights(learner.weights, learner.gradient)
    await world.roll_call(True)
    await run
    members = (await world.roll_call(True)).members
    steps = await world.all_gather((torch.tensor([learner.steps]),), members)
    return await world.all_reduce(learner.copy(), members), [int(one) for (one,) in steps]


def arguments() -> argparse.Namespace:
    """What was typed, with the shards in lists."""
    parser = commandline.parser(__doc__)
    parser.add_argument("--features", type=Path, required=True, help="folder of feature shards")
    parser.add_argument("--alignments", type=Path, required=True, help="folder of alignment shards")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu"
    )
    parser.add_argument("--steps", type=int, default=200, help="of each learner, on average")
    parser.add_argument("--batch", type=int, default=32, help="chunks a step of each learner")
    parser.add_argument("--rate", type=float, default=0.5, help="learning rate (AdamW: a five-hundredth)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="of weights and the order of the data"
    )
    parser.add_argument("--only", nargs="+", default=[], help="strategies, or rows: 'ad sign'")
    parser.add_argument("--nodes", type=int, default=1, help="learners are told to be of so many hosts")
    parser.add_argument(
        "--least-ms", type=float, default=0.0, help="a gradient lasts so long at least: see above"
    )
    parser.add_argument("--narrow", action="store_true", help="compute in bfloat16 on CPUs too")
    parser.add_argument(
        "--slow", type=float, default=1.0, help="the last learner's gradients last so many times as long"
    )
    parser.add_argument("--reference", type=Path, help="a record to compare the losses with")
    args = parser.parse_args()
    if args.slow > 1 and args.device == "cpu" and not args.narrow:
        parser.error("on CPUs --slow needs --narrow")
    args.shards = sorted(manifest.parent for manifest in args.features.glob("*/manifest.json"))
    if len(args.shards) < 2:
        parser.error(f"{args.features}: two feature shards are needed at least, the last one is held out")
    args.labels = [args.alignments / shard.name for shard in args.shards]
    if lacking := [folder for folder in args.labels if not (folder / "manifest.json").exists()]:
        raise UserError(f"{lacking[0]}: no alignments; they are needed for each shard of {args.features}")
    return args


def main() -> None:
    args = arguments()
    features, alignments = args.shards, args.labels
    store, rank, size, device = launched(args.device)
    pdfs = json.loads((alignments[0] / "manifest.json").read_text())["num_pdfs"]

    def model() -> AcousticModel:
        return AcousticModel(MODEL, 40, pdfs)

    heldout = HeldOut(Feed(features[-1:], alignments[-1:], CHUNK, 256, 0, 1, 0), model(), str(device))
    known = losses_of(records.read(args.reference)) if args.reference else {}
    losses: dict[str, dict[str, float]] = {}  # label -> seed -> loss
    say = functools.partial(print, flush=True, file=sys.stdout if rank == 0 else io.StringIO())

    def play(case: str, name: str, options: dict[str, Any], budget: int, seed: int) -> tuple[Tensor, str]:
        """A run of `budget` steps from the start: (consensus, what to tell of it)."""
        gc.collect()  # what earlier runs left, memory of other GPUs above all: not in the midst of this one
        nodes = [other * args.nodes // size for other in range(size)]
        world = connect(PrefixStore(case, store), rank, size, nodes, device)
        feed = Feed(features[:-1], alignments[:-1], CHUNK, args.batch, rank, size, seed=1 + seed)
        sort = registry.find(name).optimizer or "sgd"
        rate = ADAMW * args.rate if sort == "adamw" else args.rate
        narrow = device.type == "cuda" or args.narrow
        kind = functools.partial(CapturedTask, dtype=torch.bfloat16) if narrow else AutogradTask
        task: Any = kind(model(), feed, seed, rank, str(device))
        if narrow:
            slow = args.slow if rank == size - 1 else 1.0
            task = slowed(task, slow, args.least_ms / 1e3)
        learner = Learner(
            world,
            task,
            lambda weights: optimizer.make(sort, weights),
            lambda samples: rate,
            Budget(budget, args.batch * size, size),
        )
        began = time.perf_counter()
        try:
            strategy = registry.make(name, learner, **options)
            weights, steps = world.run(consensus(world, learner, strategy.run()))
            told = f"{time.perf_counter() - began:6.2f} s  steps {'+'.join(map(str, steps))}"
            return weights, f"{told}  mixes {world.accounts.mixes}  MB {world.accounts.bytes_sent / 1e6:.1f}"
        finally:
            feed.close()
            world.close()

    for number, (label, name, options) in enumerate(cases(set(args.only))):
        losses[label] = {}
        try:
            if device.type == "cuda":  # who compiles a kernel first would fall behind for the whole run
                play(f"{number} warm", name, options, WARM_UP, 0)
            for seed in args.seeds:
                weights, told = play(f"{number} {seed}", name, options, args.steps, seed)
                losses[label][str(seed)] = loss = heldout.loss(weights)
                say(f"{label:28} seed {seed}  loss {loss:8.5f}  {told}")
        except Exception as error:
            print(f"{label}: learner {rank}: {error!r}"[:300], flush=True)
            continue
        if rank == 0:
            compare(label, losses[label], known.get(label, {}))
    if rank == 0:
        rows = [
            {"case": label, "loss": found, "reference_loss": known.get(label, {})}
            for label, found in losses.items()
        ]
        settings = {"steps": args.steps, "batch": args.batch, "rate": args.rate, "device": args.device}
        gpus = size if device.type == "cuda" else 0
        commandline.keep(records.make("smoke-matrix", rows, settings, gpus), args.record)


if __name__ == "__main__":
    commandline.run(main)
