"""Snapshots: each learner's weights at fixed counts of samples; held-out loss is computed from them later.

snapshots/0003/rank0002.safetensors      learner 2 when all learners had seen 3/10 of the budget
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

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
    try:
        with atomic(path) as temporary:
            save_file(
                {"weights": snapshot.weights.cpu()},
                temporary,
                {key: str(value) for key, value in facts.items()},
            )
    except OSError as error:
        raise UserError(f"cannot write the snapshot {path}: {error.strerror or error}") from None


def points(run_dir: Path) -> list[int]:
    """The points that the run has snapshots of, ascending."""
    return sorted(int(folder.name) for folder in (run_dir / "snapshots").glob("[0-9]*"))


def read(run_dir: Path, point: int) -> list[Snapshot]:
    """All learners' snapshots of a point, in the order of ranks."""
    found = []
    for path in sorted((run_dir / "snapshots" / f"{point:04d}").glob("rank*.safetensors")):
        rank = int(re.sub(r"\D", "", path.stem))
        with safe_open(path, framework="pt") as stored:
            facts = stored.metadata()
            weights = stored.get_tensor("weights")
        found.append(
            Snapshot(weights, rank, int(facts["samples"]), float(facts["seconds"]), float(facts["epochs"]))
        )
    return found
