"""metrics.jsonl: one JSON object a line, written by one learner (rank 0, or the first survivor)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dasr import checksums
from dasr.files import make_folder, named, open_own
from dasr.worlds.interface import Accounts, World

FILE = "metrics.jsonl"
RECORD_BYTES = 16_384  # of one learner's record when learners gather them


class Metrics:
    """An append-only file of records. `position` goes into checkpoints: a resumed run repeats no line."""

    def __init__(self, run_dir: Path, position: int = 0):
        """Keep the first `position` bytes of what an earlier part of this run has written."""
        self.path = run_dir / FILE
        make_folder(run_dir)
        checksums.unseal(self.path)
        self._file = open_own(self.path, "a+b")  # open as long as the run
        self._file.truncate(min(position, os.path.getsize(self.path)))

    @classmethod
    def append(cls, run_dir: Path) -> Metrics:
        """Go on behind what another learner wrote."""
        return cls(run_dir, sys.maxsize)

    @property
    def position(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def write(self, kind: str, **values: Any) -> None:
        with named(self.path):
            self._file.write(json.dumps({"kind": kind, **values}).encode() + b"\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()

    def finish(self) -> None:
        """The run has ended: close the file and keep its checksum."""
        self.close()
        checksums.seal(self.path)


@dataclass
class Clock:
    """The training clock of a learner: goes on where an earlier part of the run stopped."""

    world: World
    before: float = 0.0  # seconds of earlier parts

    def __post_init__(self) -> None:
        self.start = self.world.now()

    def now(self) -> float:
        """Seconds since any moment of this part."""
        return self.world.now()

    def seconds(self) -> float:
        return self.before + self.now() - self.start


def learner_record(
    rank: int, steps: int, local_batch: int, chunk_frames: int, seconds: float, accounts: Accounts
) -> dict[str, Any]:
    """What one learner did and what it cost, as the record of kind "learner"."""
    return {
        "rank": rank,
        "samples": steps * local_batch,
        "frames": steps * local_batch * chunk_frames,
        "seconds": seconds,
        "bytes_sent": accounts.bytes_sent,
        "messages": accounts.messages,
        "wait_seconds": accounts.wait_seconds,
        "compute_seconds": accounts.compute_seconds,
        "mixes": accounts.mixes,
        "staleness": {str(key): value for key, value in sorted(accounts.staleness.items())},
    }


def summary(records: Sequence[dict[str, Any]], frames: int) -> dict[str, Any]:
    """The run's totals from its learners' records; `frames` of the whole budget."""
    seconds = max(record["seconds"] for record in records)
    applied = sum(count for record in records for count in record["staleness"].values())
    stale = sum(int(age) * count for record in records for age, count in record["staleness"].items())
    return {
        "seconds": seconds,
        "frames_per_s": frames / seconds,
        "mb_sent_per_learner": sum(record["bytes_sent"] for record in records) / len(records) / 1e6,
        "wait_fraction": sum(r["wait_seconds"] for r in records) / sum(r["seconds"] for r in records),
        "staleness_mean": stale / applied if applied else 0.0,
    }


def pack(record: dict[str, Any]) -> Tensor:
    """A record as uint8 [RECORD_BYTES], to be gathered. If too long, the longest ages are dropped."""
    staleness = dict(record["staleness"])
    while len(text := json.dumps({**record, "staleness": staleness}).encode()) > RECORD_BYTES:
        staleness = dict(list(staleness.items())[: len(staleness) // 2])
    return torch.frombuffer(bytearray(text.ljust(RECORD_BYTES)), dtype=torch.uint8)


def unpack(packed: Tensor) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(bytes(packed.cpu().numpy()))
    return record
