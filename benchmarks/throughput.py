"""Training speed of every strategy, beside plain PyTorch (and DDP with several GPUs) in the same run.

    python -m benchmarks.throughput --batch 256 2560      # one GPU, synthetic shards on disk
    torchrun --nproc-per-node 2 -m benchmarks.throughput --strategies sc-allreduce ad   # --batch: of each GPU
    python -m benchmarks.throughput --preset tiny --batch 8 --steps 4 --device cpu      # anywhere

Speeds of several learners are summed. Efficiency is against the same learners each alone on its GPU: the mean
of a run before and a run after the strategies, summed over learners.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore

from benchmarks import commandline, records
from benchmarks.launched import Launched, launched
from benchmarks.throughput_rows import (
    CHUNK,
    SHAPES,
    plain_row,
    prediction,
    strategy_row,
    synthetic,
)
from dasr.errors import UserError
from dasr.features.feed import Feed
from dasr.planning.calibration import SameBatch
from dasr.worlds.process.world import ProcessWorld, connect


def show(rows: list[dict[str, Any]]) -> None:
    columns = [
        "batch",
        "what",
        "kframes_per_s",
        "ms_a_step",
        "mean_ms",
        "efficiency",
        "gb",
        "mb_sent_a_step",
        "mixes_a_step",
        "predicted_ms",
    ]
    columns += ["waiting_for_data", "waiting_for_others", "loss"]
    print("  ".join(f"{c:>14.14}" for c in columns))
    for row in rows:
        cells = (row.get(c, "") for c in columns)
        print("  ".join(f"{c:14.3f}" if isinstance(c, float) else f"{c!s:>14}" for c in cells), flush=True)


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[256, 2560], help="chunks a step of each learner"
    )
    parser.add_argument(
        "--strategies",
        nargs="+",
        default=[],
        help="ids, options after a colon: ad:mixing=ring,pace=2",
    )
    parser.add_argument("--preset", choices=SHAPES, default="swb2000", help="model and data")
    parser.add_argument("--steps", type=int, default=100, help="that count, of each learner")
    parser.add_argument("--warm-up", type=int, default=10, help="steps before those")
    device_default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=device_default, help="cuda or cpu")
    parser.add_argument("--cluster", help="predict on this cluster (of `dasr calibrate`) what is measured")
    parser.add_argument("--gradients", choices=["float32", "bfloat16"], default="float32", help="their type")
    parser.add_argument(
        "--slow", type=float, default=1.0, help="the last learner takes so many times as long"
    )
    parser.add_argument("--features", type=Path, help="folder of feature shards (default: synthetic ones)")
    parser.add_argument("--alignments", type=Path, help="folder of alignment shards")
    parser.add_argument(
        "--profile", type=Path, help="write a trace of the last strategy (chrome://tracing) here"
    )
    args = parser.parse_args()
    process = launched(args.device)
    store, rank, size, device = process
    if rank < size - 1:
        args.slow = 1.0
    if size > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=PrefixStore("ddp", store), rank=rank, world_size=size)
    strategies = args.strategies or (
        ["single"] if size == 1 else ["sc-allreduce", "sd", "ad", "delay-by-one", "bmuf", "local"]
    )
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix=f"throughput-{rank}-") as folder:
        data = _shards(args, Path(folder))
        for batch in args.batch:
            rows += measure(args, process, batch, strategies, data)
    if rank == 0:
        show(rows)
        settings = {"learners": size, "preset": args.preset, "steps": args.steps, "warm_up": args.warm_up}
        settings |= {"gradients": args.gradients, "slow": args.slow, "peer_memory": _peer_memory()}
        gpus = size if device.type == "cuda" else 0
        commandline.keep(records.make("throughput", rows, settings, gpus), args.record)
    if size > 1:
        dist.destroy_process_group()


def _peer_memory() -> str:
    return os.environ.get("DASR_PEER_MEMORY", "1")


def _shards(args: argparse.Namespace, folder: Path) -> tuple[list[Path], list[Path]]:
    if (args.features is None) != (args.alignments is None):
        raise UserError("--features and --alignments are given together")
    if args.features is None:
        shape = SHAPES[args.preset]
        return synthetic(folder, shape[1], shape[2], shape[3])
    features = sorted(p for p in args.features.iterdir() if (p / "manifest.json").exists())
    return features, [args.alignments / p.name for p in features]


def measure(
    args: argparse.Namespace,
    process: Launched,
    batch: int,
    names: list[str],
    data: tuple[list[Path], list[Path]],
) -> list[dict[str, Any]]:
    """All rows of one batch size, as the module says."""
    store, rank, size, device = process
    margin = SHAPES[args.preset][0].margin

    def feed() -> Feed:
        features, alignments = data
        return Feed(features, alignments, CHUNK, batch, rank, size, seed=1, context=margin)

    def world(row: int) -> ProcessWorld:
        return connect(PrefixStore(f"{batch}/{row}", store), rank, size, device=device)

    alone = PrefixStore(f"alone/{rank}", store)
    solo = connect(PrefixStore(str(batch), alone), 0, 1, device=device)
    alone_source = feed()
    rows = [plain_row(solo, alone_source, args, batch, ddp=False)]
    if size > 1:
        rows.append(plain_row(solo, alone_source, args, batch, ddp=True))
    rows.append(
        strategy_row(solo, "single", {}, SameBatch(alone_source.next()), args, batch)
        | {"what": "single, no loading"}
    )
    bare = rows[-1]["ms_a_step"]
    rows.append(strategy_row(solo, "single", {}, alone_source, args, batch))
    rows[-1]["waiting_for_data"] = max(0.0, 1 - bare / rows[-1]["ms_a_step"])
    alone_rows = [rows[-1]]
    for number, name in enumerate(names):
        identity, _, text = name.partition(":")
        given = dict(pair.split("=") for pair in text.split(",") if pair)
        if identity == "single":
            continue
        here, source = world(number), feed()
        row = strategy_row(here, identity, {k: _value(v) for k, v in given.items()}, source, args, batch)
        source.close()
        here.close()
        if args.cluster:
            options = {k: _value(v) for k, v in given.items()}
            row |= prediction(args, identity, options, size, batch, bare, row["ms_a_step"])
        rows.append(row | {"what": name})
    if size > 1:
        args.profile = None  # the trace of the last strategy is written
        rows.append(
            strategy_row(solo, "single", {}, alone_source, args, batch) | {"what": "single, at the end"}
        )
        alone_rows.append(rows[-1])
    alone_source.close()
    own = sum(row["kframes_per_s"] for row in alone_rows) / len(alone_rows)
    for row in rows:
        row["batch"] = batch
        if size > 1:
            total = torch.tensor([row["kframes_per_s"], own], device=device)
            dist.all_reduce(total)
            row["kframes_per_s"] = float(total[0])
            row["efficiency"] = float(total[0] / total[1])
    return rows


def _value(text: str) -> Any:
    try:
        return json.loads(text.lower())
    except ValueError:
        return text


if __name__ == "__main__":
    commandline.run(main)
