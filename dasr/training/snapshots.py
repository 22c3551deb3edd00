"""Snapshots: each learner's weights at fixed counts of samples; held-out loss is computed from them later.

snapshots/0003/rank0002.safetensors      learner 2 when all learners had seen 3/10 of the budget
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dasr import checksums
from dasr.errors import UserError
from dasr.files import atomic


@dataclass(frozen=True)
class Snapshot:
    """One learner's weights at one point."""

    weights: Tensor  # flat float32, in the order of the model's parameters
    rank: int
    samples: int  # seen by all learners together
    seconds: float  # of training clock
    epochs: float


def write(run_dir: Path, point: int, snapshot: Snapshot) -> None:
    """Write one learner's snapshot of that point (from 1), atomically. Raises UserError."""
    path = run_dir / "snapshots" / f"{point:04d}" / f"rank{snapshot.rank:04d}.safetensors"
    facts = {"samples": snapshot.samples, "seconds": snapshot.seconds, "epochs": snapshot.epochs}
    said, weights = {key: str(value) for key, value in facts.items()}, snapshot.weights.cpu()
    try:
        with atomic(path) as temporary:
            save_file({"weights": weights}, temporary, {**said, "checksum": _checksum(weights, said)})
    except OSError as error:
        raise UserError(f"cannot write the snapshot {path}: {error.strerror or error}") from None


def points(run_dir: Path) -> list[int]:
    """The points that the run has snapshots of, ascending."""
    return sorted(int(folder.name) for folder in (run_dir / "snapshots").glob("[0-9]*"))


def mean_of_last(run_dir: Path, rank: int, count: int) -> Tensor:
    """The mean of one learner's last `count` snapshots (of those that it has); flat float32. Raises
    UserError."""
    paths = sorted((run_dir / "snapshots").glob(f"[0-9]*/rank{rank:04d}.safetensors"))
    total = sum((_read(path).weights.double() for path in paths[-count:]), start=torch.zeros(()).double())
    return (total / len(paths[-count:])).float()


def read(run_dir: Path, point: int) -> list[Snapshot]:
    """All learners' snapshots of a point, in the order of ranks. Raises UserError for one that is damaged."""
    paths = sorted((run_dir / "snapshots" / f"{point:04d}").glob("rank*.safetensors"))
    return [_read(path) for path in paths]


def _read(path: Path) -> Snapshot:
    try:
        rank = int(re.sub(r"\D", "", path.stem))
        with safe_open(path, framework="pt") as stored:
            said, weights = stored.metadata(), stored.get_tensor("weights")
        if said["checksum"] != _checksum(weights, said):
            raise ValueError("it does not have the checksum that was written with it")
        return Snapshot(weights, rank, int(said["samples"]), float(said["seconds"]), float(said["epochs"]))
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        why = " ".join(str(error).split())[:120]
        raise UserError(f"{path} is not a snapshot ({why}): train the run again") from None


def _checksum(weights: Tensor, said: Mapping[str, str]) -> str:
    facts = [f"{key}={said[key]}".encode() for key in ("samples", "seconds", "epochs")]
    return checksums.of_bytes([*facts, weights.contiguous().numpy()])
