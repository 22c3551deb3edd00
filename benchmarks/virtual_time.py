"""Virtual time on a GPU: what a gradient of simulated learners takes, with feed, updates and mixing.

    python -m benchmarks.virtual_time                      # the demo model, 16 learners, 4 chunks each
    # 16 epochs of 5.3 h:
    python -m benchmarks.virtual_time --layers 4 --cells 512 --local-batch 16 --hours 5.3 --steps 2840
    python -m benchmarks.virtual_time --device cpu --steps 5

The features are made up. `start_s`: until the first gradient has been computed, captures included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import commandline, records
from benchmarks.throughput_rows import synthetic
from dasr.config import MODELS
from dasr.cuda import streams
from dasr.features.feed import Feed
from dasr.features.resident import ResidentFeed
from dasr.learner.learner import Budget
from dasr.models.acoustic import AcousticModel
from dasr.planning.simulate import Workload, plain_sgd, simulate
from dasr.tasks.autograd_task import AutogradTask
from dasr.tasks.captured_task import CapturedTask
from dasr.tasks.task import Task
from dasr.worlds.interface import Ready, World
from dasr.worlds.simulated.clusters import Cluster, Compute

DIM, PDFS, CHUNK = 40, 1_000, 42
CLUSTER = Cluster(name="equal-learners", compute=Compute(fixed_s=1.0, jitter=0.1))


def clocked(task: Any, asked: list[float]) -> Task:
    """That task, noting when each gradient was asked for."""
    inner = task.gradient

    def gradient(weights: Tensor, gradient: Tensor, ready: Ready) -> Tensor | float:
        asked.append(time.perf_counter())
        loss: Tensor | float = inner(weights, gradient, ready)
        return loss

    task.gradient = gradient
    found: Task = task
    return found


def row(strategy: str, given: argparse.Namespace, folder: Path) -> records.Row:
    """Train with that strategy."""
    shape = shape_of(given)
    features = sorted((folder / "features").iterdir())
    place = (features, [folder / "alignments" / path.name for path in features], CHUNK, given.local_batch)
    asked: list[float] = []

    def task(world: World, batch: int, seed: int) -> Task:
        model = AcousticModel(shape, DIM, PDFS)
        share = (world.rank, world.size, seed, model.margin)
        if given.device == "cpu":
            return clocked(AutogradTask(model, Feed(*place, *share), seed, world.rank), asked)
        feed = ResidentFeed(torch.device(given.device), *place, *share)
        return clocked(CapturedTask(model, feed, seed, world.rank, given.device, alone=False), asked)

    budget = Budget(given.steps, given.learners * given.local_batch, given.learners)
    began = time.perf_counter()
    workload = Workload(task, recipe=plain_sgd(0.5), device=given.device)
    result = simulate(strategy, budget, CLUSTER, workload=workload)
    ended = time.perf_counter()
    later = len(asked) // 5  # the first ones capture, and fill caches
    return {
        "strategy": result.label,
        "ms_a_gradient": 1e3 * (ended - asked[later]) / (len(asked) - later),
        "gradients": len(asked),
        "start_s": asked[given.learners] - began,
        "whole_s": ended - began,
    }


def shape_of(given: argparse.Namespace) -> Any:
    """The demo's shape with those counts."""
    return MODELS["demo"].model_copy(update={"layers": given.layers, "cells": given.cells})


def main() -> None:
    parser = commandline.parser(__doc__)
    parser.add_argument("--strategies", nargs="+", default=["ad", "sd", "sc-allreduce", "bmuf"], help="ids")
    parser.add_argument("--learners", type=int, default=16, help="simulated ones")
    parser.add_argument("--local-batch", type=int, default=4, help="chunks of 42 frames in a gradient")
    parser.add_argument("--hours", type=float, default=0.36, help="of features, at 100 frames a second")
    parser.add_argument("--steps", type=int, default=200, help="of all learners together")
    parser.add_argument("--layers", type=int, default=2, help="of the BLSTM")
    parser.add_argument("--cells", type=int, default=128, help="in a layer and direction")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cuda or cpu"
    )
    given = parser.parse_args()
    streams.allow_many()
    with tempfile.TemporaryDirectory(prefix="virtual-time-") as folder:
        synthetic(Path(folder), DIM, PDFS, round(given.hours * 3600 * 100 / 4))
        made = []
        for strategy in given.strategies:
            made.append(row(strategy, given, Path(folder)))
            print(
                "  ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in made[-1].values()),
                flush=True,
            )
    settings = {
        key: getattr(given, key) for key in ("learners", "local_batch", "hours", "steps", "layers", "cells")
    }
    gpus = 0 if given.device == "cpu" else 1
    commandline.keep(records.make("virtual-time", made, settings, gpus), given.record)


if __name__ == "__main__":
    commandline.run(main)
