"""What `throughput.py` measures: a strategy on real processes, plain PyTorch, DDP; the shards it makes up."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.throughput_clock import Slowed, Timer, synchronize
from dasr.config import MODELS, ModelConfig
from dasr.features.feed import Feed
from dasr.features.store import Utterance, write_arrays, write_shard
from dasr.files import write_json
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.models.acoustic import AcousticModel
from dasr.planning.simulate import Workload, simulate
from dasr.strategies import registry
from dasr.tasks.captured_task import CapturedTask
from dasr.worlds.process.world import ProcessWorld
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Compute

CHUNK = 21
SHAPES = {  # preset -> model, stored dimensions, tied states, frames in each of four synthetic shards
    "swb2000": (MODELS["swb2000"], 260, 32_000, 262_144),
    "tiny": (ModelConfig(layers=2, cells=32, bottleneck=16, subsampling=1), 10, 50, 4_000),
}


def synthetic(folder: Path, dim: int, pdfs: int, frames: int) -> tuple[list[Path], list[Path]]:
    """Four shards of random features and labels, of speakers with utterances of about 500 frames."""
    lengths = [500 + 7 * (i % 11) for i in range(frames // 530)]
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    features, alignments = [], []
    for shard in range(4):
        torch.manual_seed(shard)
        values = torch.randn(int(offsets[-1]), dim).numpy()
        utterances = [
            Utterance(f"u{shard}-{i:05d}", f"s{shard}-{i // 50}", values[offsets[i] : offsets[i + 1]])
            for i in range(len(lengths))
        ]
        features.append(folder / "features" / f"{shard:04d}")
        write_shard(features[-1], utterances, "fbank", {"rejected": []})
        alignments.append(folder / "alignments" / f"{shard:04d}")
        labels = torch.randint(pdfs, (int(offsets[-1]),), dtype=torch.int32).numpy()
        write_arrays(alignments[-1] / "labels.zarr", {"labels": labels, "offsets": offsets}, {})
        write_json(alignments[-1] / "manifest.json", {"rejected": []})
    return features, alignments


def strategy_row(
    world: ProcessWorld, name: str, given: dict[str, Any], feed: Any, args: argparse.Namespace, share: int
) -> dict[str, Any]:
    """Run a strategy for --steps steps of each learner; a row of the table."""
    shape, dim, pdfs, _ = SHAPES[args.preset]
    gc.collect()  # what earlier rows left, memory of other GPUs above all: not in the midst of this one
    synchronize(world.device)
    if world.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(world.device)
    model = AcousticModel(shape, dim, pdfs)
    kind = getattr(torch, args.gradients)
    task: Any = CapturedTask(model, feed, 0, world.rank, str(world.device), gradient_dtype=kind)
    if args.slow > 1:
        task = Slowed(task, args.slow)
    timer = Timer(args.warm_up, args.steps, world, args.profile)
    steps = args.warm_up + args.steps + 1
    learner = Learner(
        world,
        task,
        lambda weights: optimizer.make(registry.find(name).optimizer or "sgd", weights),
        lambda samples: 0.05,
        Budget(steps, share * world.size, world.size),
        timer,
    )
    strategy = registry.make(name, learner, **given)

    async def life() -> None:
        task.load_weights(learner.weights, learner.gradient)  # captures the step
        await world.roll_call(True)  # so that nobody begins before the others
        await strategy.run()

    world.run(life())
    timer.end()
    frames = timer.steps * share * CHUNK
    row = {
        "what": name + "".join(f" {k}={v}" for k, v in given.items()),
        "kframes_per_s": frames / timer.seconds / 1e3,
    }
    steps = max(1, timer.steps)  # a learner may come to none, where others take them all: speed 0
    row |= {"ms_a_step": 1e3 * timer.seconds / steps, "mean_ms": timer.mean_ms}
    row |= {"loss": learner.mean_loss()}
    row |= {
        "mb_sent_a_step": timer.spent["bytes_sent"] / steps / 1e6,
        "mixes_a_step": timer.spent["mixes"] / steps,
    }
    row["waiting_for_others"] = timer.spent["wait_seconds"] / timer.seconds
    if world.rank == 0:
        print(f"{share} {row['what']}: {row['ms_a_step']:.3f} ms a step", file=sys.stderr, flush=True)
    return row | memory(world.device)


def prediction(
    args: argparse.Namespace,
    name: str,
    options: dict[str, Any],
    size: int,
    share: int,
    alone_ms: float,
    measured_ms: float,
) -> dict[str, float]:
    """The simulated step on the calibrated cluster, whose gradient takes what one learner's takes alone."""
    compute = Compute(fixed_s=alone_ms / 1e3)
    cluster = replace(presets.load(args.cluster), compute=compute)
    shape, dim, pdfs, _ = SHAPES[args.preset]
    count = sum(parameter.numel() for parameter in AcousticModel(shape, dim, pdfs).parameters())
    budget, workload = Budget(args.steps, share * size, size), Workload(parameters=count)
    result = simulate(name, budget, cluster, options=options, workload=workload)
    predicted = 1e3 * result.step_seconds
    return {"predicted_ms": predicted, "error_percent": 100 * (predicted / measured_ms - 1)}


def memory(device: torch.device) -> dict[str, float]:
    return {"gb": torch.cuda.max_memory_allocated(device) / 1e9} if device.type == "cuda" else {}


def plain_row(
    world: ProcessWorld, feed: Feed, args: argparse.Namespace, share: int, ddp: bool
) -> dict[str, Any]:
    """Plain PyTorch: autograd in eager mode, bf16 autocast, SGD; data already on the device, no loading."""
    shape, dim, pdfs, _ = SHAPES[args.preset]
    device = world.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    network: Any = AcousticModel(shape, dim, pdfs).to(device)
    if ddp:
        network = torch.nn.parallel.DistributedDataParallel(network, gradient_as_bucket_view=True)
    sgd = torch.optim.SGD(network.parameters(), lr=0.05)
    batch = feed.next()
    frames, targets = batch.frames.to(device).float(), batch.labels.to(device).long().flatten()

    def step() -> Tensor:
        sgd.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16):
            logits = network(frames)
            loss: Tensor = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, ignore_index=-1)
        loss.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        return loss

    for _ in range(args.warm_up):
        step()
    synchronize(device)
    began = time.perf_counter()
    for _ in range(args.steps):
        loss = step()
    synchronize(device)
    seconds = time.perf_counter() - began
    row = {
        "what": "DDP" if ddp else "plain PyTorch",
        "kframes_per_s": args.steps * share * CHUNK / seconds / 1e3,
    }
    return row | {"ms_a_step": 1e3 * seconds / args.steps, "loss": float(loss.detach())} | memory(device)
