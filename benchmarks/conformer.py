"""Training speed of a Conformer with CTC on whole utterances from disk, beside plain PyTorch (and DDP).

    python -m benchmarks.conformer                                     # one GPU: 8, 32, 96 utterances a step
    torchrun --nproc-per-node 2 -m benchmarks.conformer --batch 8 32   # efficiency of strategies
    python -m benchmarks.conformer --layers 1 --width 16 --heads 2 --batch 2 --steps 3 --device cpu

Utterances are 10 s long, of 80 log-mels; the units are random. Efficiency is against the same learners each
alone on its GPU: the mean of a run before and a run after the strategies.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore

from benchmarks import commandline, records
from benchmarks.launched import launched
from benchmarks.throughput_clock import Timer, synchronize
from dasr.config import AugmentConfig, ModelConfig
from dasr.features.store import Shard, Utterance, write_shard
from dasr.features.utterance_feed import Labels, Positions, Share, UtteranceFeed
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.models.acoustic import AcousticModel
from dasr.strategies import registry
from dasr.tasks.captured_task import CapturedTask
from dasr.tasks.utterance_task import scored, total_loss
from dasr.worlds.process.world import ProcessWorld, connect

FRAMES, DIM, UNITS, SPOKEN = 1_000, 80, 500, 60  # of an utterance; log-mels; outputs; units of an utterance
NO_AUGMENTATION = AugmentConfig()


class RandomUnits:
    """Targets of a feed: as many units for every utterance."""

    def of_shard(self, index: int, shard: Shard) -> list[Labels | str]:
        draw = np.random.default_rng(index)
        return [draw.integers(1, UNITS, SPOKEN).astype(np.int32) for _ in shard.utterances]

    def weight(self, frames: int, target: Labels) -> int:
        return len(target)

    def width(self, frames: int) -> int:
        return SPOKEN

    def fewest(self, target: Labels) -> int:
        return 1

    def moved(self, target: Labels, positions: Positions) -> Labels:
        return target


def shards(folder: Path, utterances: int) -> list[Path]:
    """Four shards of random features."""
    for number in range(4):
        torch.manual_seed(number)
        made = [
            Utterance(f"u{number}-{i:05d}", f"s{number}-{i // 50}", torch.randn(FRAMES, DIM).numpy())
            for i in range(utterances)
        ]
        write_shard(folder / f"{number:04d}", made, "fbank", {"rejected": []})
    return [folder / f"{number:04d}" for number in range(4)]


def model(args: argparse.Namespace) -> AcousticModel:
    options = {"layers": args.layers, "width": args.width, "heads": args.heads, "kernel": 31}
    return AcousticModel(ModelConfig(kind="conformer", options=options, subsampling=1), DIM, UNITS)


def strategy_row(
    world: ProcessWorld, name: str, args: argparse.Namespace, feed: UtteranceFeed
) -> dict[str, Any]:
    """--steps steps of each learner of a strategy."""
    _begin(world.device)
    task = CapturedTask(model(args), feed, 0, world.rank, str(world.device), criterion="ctc")
    timer = Timer(args.warm_up, args.steps, world)
    learner = Learner(
        world,
        task,
        lambda weights: optimizer.make("sgd", weights),
        lambda samples: 1e-3,
        Budget(args.warm_up + args.steps + 1, feed.batch * world.size, world.size),
        timer,
    )
    strategy = registry.make(name, learner)

    async def life() -> None:
        task.load_weights(learner.weights, learner.gradient)  # captures the steps
        await world.roll_call(True)
        await strategy.run()

    world.run(life())
    timer.end()
    row = _row(name, feed.batch, timer.seconds / max(1, timer.steps), world.device)
    return row | {"mb_sent_a_step": timer.spent["bytes_sent"] / max(1, timer.steps) / 1e6}


def plain_row(
    args: argparse.Namespace, feed: UtteranceFeed, device: torch.device, ddp: bool
) -> dict[str, Any]:
    """Plain PyTorch: eager, bf16 autocast, SGD, one batch that is on the device already."""
    _begin(device)
    acoustic = model(args).to(device).train()
    batch = feed.next()
    there = type(batch)(*(part.to(device) for part in batch))

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.acoustic = acoustic

        def forward(self) -> torch.Tensor:
            with torch.autocast(device.type, torch.bfloat16):
                logits = scored(self.acoustic, NO_AUGMENTATION, there)
            return total_loss("ctc", self.acoustic, batch, logits.float(), there.targets) / feed.normaliser

    whole: Any = Whole()
    if ddp:
        whole = torch.nn.parallel.DistributedDataParallel(whole, gradient_as_bucket_view=True)
    sgd = torch.optim.SGD(whole.parameters(), 1e-3)

    def step() -> None:
        sgd.zero_grad()
        whole().backward()
        sgd.step()

    for _ in range(args.warm_up):
        step()
    synchronize(device)
    began = time.perf_counter()
    for _ in range(args.steps):
        step()
    synchronize(device)
    return _row(
        "DDP" if ddp else "plain PyTorch", feed.batch, (time.perf_counter() - began) / args.steps, device
    )


def _begin(device: torch.device) -> None:
    gc.collect()  # what earlier rows left
    synchronize(device)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _row(what: str, batch: int, seconds: float, device: torch.device) -> dict[str, Any]:
    row = {"batch": batch, "what": what, "ms_a_step": 1e3 * seconds}
    row["kframes_per_s"] = batch * FRAMES / seconds / 1e3
    gb = torch.cuda.max_memory_reserved(device) / 1e9 if device.type == "cuda" else 0.0
    return {**row, "reserved_gb": gb}


def measure(args: argparse.Namespace, process: Any, batch: int, data: list[Path]) -> list[dict[str, Any]]:
    """All rows of one batch size."""
    store, rank, size, device = process

    def feed() -> UtteranceFeed:
        return UtteranceFeed(data, RandomUnits(), Share(batch, rank, size, seed=1), multiple=4)

    def alone(number: int) -> dict[str, Any]:
        own = connect(PrefixStore(f"alone/{rank}/{batch}/{number}", store), 0, 1, device=device)
        return strategy_row(own, "single", args, feed())

    rows = [plain_row(args, feed(), device, ddp=False)]
    if size > 1:
        rows.append(plain_row(args, feed(), device, ddp=True))
    rows.append(alone(0))
    lone = [rows[-1]]
    for number, name in enumerate(args.strategies if size > 1 else []):
        world = connect(PrefixStore(f"{batch}/{number}", store), rank, size, device=device)
        rows.append(strategy_row(world, name, args, feed()))
        world.close()
    if size > 1:
        rows.append(alone(1) | {"what": "single, at the end"})
        lone.append(rows[-1])
    own = sum(row["kframes_per_s"] for row in lone) / len(lone)
    for row in rows:
        total = torch.tensor([row["kframes_per_s"], own], device=device)
        if size > 1:
            dist.all_reduce(total)
        row["kframes_per_s"], row["efficiency"] = float(total[0]), float(total[0] / total[1])
        if rank == 0:
            shown = f"{batch:4d} {row['what']:20s} {row['ms_a_step']:8.2f} ms {row['kframes_per_s']:8.1f}"
            print(f"{shown} kframes/s {row['efficiency']:.3f} {row['reserved_gb']:6.2f} GB", flush=True)
    return rows


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32, 96], help="utterances a learner")
    parser.add_argument("--strategies", nargs="+", default=["sc-allreduce", "ad", "local"], help="ids")
    parser.add_argument("--layers", type=int, default=12, help="of the Conformer")
    parser.add_argument("--width", type=int, default=512, help="of the Conformer")
    parser.add_argument("--heads", type=int, default=8, help="of the Conformer")
    parser.add_argument("--steps", type=int, default=50, help="that count")
    parser.add_argument("--warm-up", type=int, default=10, help="steps before those")
    parser.add_argument("--utterances", type=int, default=400, help="in each of four shards")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu"
    )
    args = parser.parse_args()
    process = launched(args.device)
    if process.size > 1:
        backend = "nccl" if args.device == "cuda" else "gloo"
        store = PrefixStore("ddp", process.store)
        dist.init_process_group(backend, store=store, rank=process.rank, world_size=process.size)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="conformer-") as folder:
        data = shards(Path(folder), args.utterances)
        for batch in args.batch:
            rows += measure(args, process, batch, data)
    if process.rank == 0:
        settings = {"learners": process.size, "layers": args.layers, "width": args.width, "heads": args.heads}
        settings |= {
            "frames_an_utterance": FRAMES,
            "units": UNITS,
            "steps": args.steps,
            "warm_up": args.warm_up,
        }
        gpus = process.size if args.device == "cuda" else 0
        commandline.keep(records.make("conformer", rows, settings, gpus), args.record)
    if process.size > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    commandline.run(main)
