"""Every strategy and every compression for some steps on real processes: held-out loss of the consensus
model.

torchrun --nproc-per-node=2 benchmarks/smoke_matrix.py --features F --alignments A --device cpu
torchrun --nproc-per-node 2 benchmarks/smoke_matrix.py --features F --alignments A --reference cpu.json
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
import json
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout need not be installed

from benchmarks.equality import CHUNK, HeldOut
from benchmarks.launched import launched
from benchmarks.throughput_clock import Slowed
from dasr.config import ModelConfig
from dasr.features.feed import Feed
from dasr.files import write_json
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.models.acoustic import AcousticModel
from dasr.strategies import registry
from dasr.strategies.parts.codecs import CODECS
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.captured_task import CapturedTask
from dasr.tasks.task import CopiesWeights
from dasr.worlds.process.world import ProcessWorld, connect

WARM_UP = 30  # steps
ADAMW = 1 / 500  # of --rate: 1e-3, as usual. At five times that rounding alone moves a loss by 2 %
MODEL = ModelConfig(layers=2, cells=128, bottleneck=64, subsampling=1)


def cases() -> list[tuple[str, dict[str, Any]]]:
    """All strategies as they come; some with every compression; `ad` that mixes less, as it does on GPUs."""
    found: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in registry.names() if name != "single"]
    found.append(("ad", {"pace": 4.0}))
    for name in ("sc-allreduce", "sd", "ad"):
        found += [(name, {"compression": codec}) for codec in CODECS if codec != "fp32"]
    return found


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--alignments", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=200)
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
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.slow > 1 and args.device == "cpu" and not args.narrow:
        parser.error("on CPUs --slow needs --narrow")
    features = sorted(manifest.parent for manifest in args.features.glob("*/manifest.json"))
    if len(features) < 2:
        parser.error(f"{args.features}: two feature shards are needed at least, the last one is held out")
    store, rank, size, device = launched(args.device)
    alignments = [args.alignments / p.name for p in features]
    pdfs = json.loads((alignments[0] / "manifest.json").read_text())["num_pdfs"]

    def model() -> AcousticModel:
        return AcousticModel(MODEL, 40, pdfs)

    heldout = HeldOut(Feed(features[-1:], alignments[-1:], CHUNK, 256, 0, 1, 0), model(), str(device))
    known = json.loads(args.reference.read_text())["loss"] if args.reference else {}
    losses: dict[str, dict[str, float]] = {}  # label -> seed -> loss

    def play(case: str, name: str, options: dict[str, Any], budget: int, seed: int) -> tuple[Tensor, str]:
        """A run of `budget` steps from the start: (consensus, what to tell of it)."""
        gc.collect()  # what earlier runs left, memory of other GPUs above all: not in the midst of this one
        nodes = [other * args.nodes // size for other in range(size)]
        world = connect(dist.PrefixStore(case, store), rank, size, nodes, device)
        feed = Feed(features[:-1], alignments[:-1], CHUNK, args.batch, rank, size, seed=1 + seed)
        sort = registry.find(name).optimizer or "sgd"
        rate = ADAMW * args.rate if sort == "adamw" else args.rate
        narrow = device.type == "cuda" or args.narrow
        kind = functools.partial(CapturedTask, dtype=torch.bfloat16) if narrow else AutogradTask
        task: Any = kind(model(), feed, seed, rank, str(device))
        slow = args.slow if rank == size - 1 else 1.0
        if narrow and (args.least_ms or slow > 1):
            task = Slowed(task, slow, args.least_ms / 1e3)
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

    for number, (name, options) in enumerate(cases()):
        label = " ".join([name, *map(str, options.values())])
        if args.only and not {name, label} & set(args.only):
            continue
        losses[label] = {}
        try:
            if device.type == "cuda":  # who compiles a kernel first would fall behind for the whole run
                play(f"{number} warm", name, options, WARM_UP, 0)
            for seed in args.seeds:
                weights, told = play(f"{number} {seed}", name, options, args.steps, seed)
                losses[label][str(seed)] = loss = heldout.loss(weights)
                if rank == 0:
                    print(f"{label:28} seed {seed}  loss {loss:8.5f}  {told}", flush=True)
        except Exception as error:
            print(f"{label}: learner {rank}: {error!r}"[:300], flush=True)
            continue
        both = losses[label].keys() & known.get(label, {}).keys()
        if rank == 0 and both:
            here, there = (mean(found[label][seed] for seed in both) for found in (losses, known))
            print(f"{label:28} mean {here:.5f} ({there:.5f})  {100 * (here / there - 1):+.3f} %", flush=True)
    if rank == 0 and args.json:
        write_json(
            args.json, {"loss": losses, "steps": args.steps, "batch": args.batch, "device": args.device}
        )


if __name__ == "__main__":
    main()
