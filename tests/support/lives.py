"""What learner processes of test_run.py do: whole lives of runs, one after another."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from dasr import config as configuration
from dasr.errors import UserError
from dasr.models import acoustic
from dasr.training import callbacks, run
from dasr.training.checkpoint import Checkpoints
from dasr.worlds.process.world import ProcessWorld
from tests.support.aligned_corpus import small_config

SYNCHRONOUS = ("sc-allreduce", "sd", "bmuf-tau=3")


class Life:
    """A world whose shared counters start anew, as they do with a new job's store."""

    def __init__(self, world: ProcessWorld, number: str):
        self._world, self._number = world, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def count(self, name: str, amount: int) -> Any:
        return self._world.count(f"{self._number}/{name}", amount)


def live(
    world: ProcessWorld, folder: Path, strategy: str, life: str, stop_at: int | None = None, average: int = 1
) -> bool:
    """One life of a run in `folder`; with `stop_at`, learner 1 hears the request to stop at that step."""
    callbacks.VOTE_SECONDS = 0.0  # meet at every step
    often = strategy == "sd" and stop_at is not None  # there must be one before the newest
    seconds = 1e-6 if often else 60
    config = small_config(folder, checkpoint_seconds=seconds, snapshots=3, average=average)
    wanted = configuration.find_run(config, f"{strategy}-L2-B12-S0")
    here = 0

    def at(step: int, doing: str) -> None:
        nonlocal here
        here = step

    def stop_requested() -> bool:
        return stop_at is not None and here >= stop_at and (world.rank == 1 or strategy == "ad")

    its: Any = Life(world, life)
    return world.run(run.train(its, config, wanted, stop_requested=stop_requested, at=at))


def damage_newest(folder: Path, strategy: str, rank: int) -> None:
    """Truncate the newest checkpoint of one learner."""
    newest = max(folder.glob(f"runs/{strategy}-*/checkpoints/rank{rank:04d}/*.ckpt"))
    newest.write_bytes(newest.read_bytes()[:-1])


def all_lives(world: ProcessWorld, root: Path) -> list[Any]:
    """Each synchronous strategy undisturbed, stopped and resumed, and resumed from a damaged checkpoint; one
    whose model is the mean of two snapshots, stopped between them."""
    ended: list[Any] = []
    for strategy in SYNCHRONOUS:
        ended.append(live(world, root / "undisturbed", strategy, f"{strategy}1"))
        ended.append(live(world, root / "stopped", strategy, f"{strategy}2", stop_at=9))
        if world.rank == 1 and strategy == "sd":
            damage_newest(root / "stopped", strategy, 1)
        ended.append(live(world, root / "stopped", strategy, f"{strategy}3"))
    ended.append(live(world, root / "stopped", "ad", "ad1", stop_at=5))
    ended.append(live(world, root / "stopped", "ad", "ad2"))
    ended.append(live(world, root / "averaged", "sd", "averaged1", stop_at=15, average=2))
    ended.append(live(world, root / "averaged", "sd", "averaged2", average=2))
    return ended


def of_another_version(world: ProcessWorld, root: Path) -> str:
    """Stop, take one thing out of the checkpoint, start again; how that ends."""
    strategy = SYNCHRONOUS[-1]
    live(world, root, strategy, "first", stop_at=5)
    (path,) = root.glob(f"runs/{strategy}-*/checkpoints/rank{world.rank:04d}/*.ckpt")
    identity = torch.load(io.BytesIO(path.read_bytes()[48:]), weights_only=True)["identity"]
    kept = Checkpoints(path.parents[2], world.rank, identity)
    state = kept.load(int(path.stem))
    del state["strategy"]["mean"]
    kept.write(int(path.stem), state)
    try:
        live(world, root, strategy, "second")
    except UserError as error:
        return str(error)
    return "no error"


def weights(folder: Path, strategy: str) -> Any:
    return acoustic.load(folder / "runs" / f"{strategy}-L2-B12-S0").state_dict()


def records(folder: Path, strategy: str) -> list[dict[str, Any]]:
    path = folder / "runs" / f"{strategy}-L2-B12-S0" / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]
