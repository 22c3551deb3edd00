"""Checkpoints: everything that a learner's next step depends on, in one file a learner and step.

    checkpoints/rank0003/000001200.ckpt      after 1,200 of its own steps

A file is whole or absent (atomic, fsynced) and carries its own checksum. Each learner keeps its last two.
A step of a synchronous strategy counts only when every learner has it.
"""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.files import atomic
from dasr.launch.identity import difference

logger = logging.getLogger(__name__)

MAGIC = b"dasr-checkpoint1"
KEPT = 2


class Checkpoints:
    """The checkpoints of one learner of a run."""

    def __init__(self, run_dir: Path, rank: int, identity: dict[str, Any]):
        """`identity`: what the run is trained on, see dasr.launch.identity."""
        self.run_dir, self.rank, self.identity = run_dir, rank, identity
        self.folder = run_dir / "checkpoints" / f"rank{rank:04d}"

    def write(self, step: int, state: dict[str, Any]) -> None:
        """Keep `state` as that of `step`, and remove older ones but the one before. Raises UserError."""
        stream = io.BytesIO()
        torch.save({"identity": self.identity, "state": state}, stream)
        payload = stream.getbuffer()
        try:
            with atomic(self._path(step), durable=True) as temporary, open(temporary, "wb") as file:
                file.write(MAGIC + hashlib.sha256(payload).digest())
                file.write(payload)
            for old in self.steps()[KEPT:]:
                self._path(old).unlink(missing_ok=True)
        except OSError as error:
            last = self.steps()
            kept = f"the last good checkpoint, of step {last[0]}, is kept" if last else "there is none yet"
            raise UserError(
                f"cannot write a checkpoint into {self.folder}: {error.strerror or error}; {kept}: make room "
                "or make the folder writable, and start again"
            ) from None

    def steps(self) -> list[int]:
        """Steps of which this learner has a file, newest first (not yet checked)."""
        return sorted((int(path.stem) for path in self.folder.glob("[0-9]*.ckpt")), reverse=True)

    def sound_steps(self) -> list[int]:
        """Steps whose files are whole, newest first; says which are not."""
        sound = []
        for step in self.steps():
            if self._payload(step) is not None:
                sound.append(step)
            else:
                logger.warning(f"checkpoint {self._path(step)} is corrupt: falling back to the one before")
        return sound

    def load(self, step: int) -> dict[str, Any]:
        """The state of that step. Raises UserError if it is corrupt or of another identity."""
        payload = self._payload(step)
        if payload is None:
            raise UserError(f"checkpoint {self._path(step)} is missing or corrupt: delete it and start again")
        stored = torch.load(io.BytesIO(payload), weights_only=True)
        if differs := difference(stored["identity"], self.identity):
            raise UserError(
                f"checkpoint {self._path(step)} is of other data or options: {differs}; "
                "start `dasr train` again"
            )
        state: dict[str, Any] = stored["state"]
        return state

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:09d}.ckpt"

    def _payload(self, step: int) -> bytes | None:
        """The bytes of that file, None if it is missing, truncated or altered."""
        try:
            content = self._path(step).read_bytes()
        except OSError:
            return None
        head = len(MAGIC) + hashlib.sha256().digest_size
        whole = content[: len(MAGIC)] == MAGIC
        whole = whole and hashlib.sha256(content[head:]).digest() == content[len(MAGIC) : head]
        return content[head:] if whole else None


def mean_of_others(mine: Checkpoints, size: int) -> Tensor | None:
    """The mean of the other learners' last saved weights, where a replacement begins; None without any."""
    total, count = None, 0
    for rank in range(size):
        theirs = Checkpoints(mine.run_dir, rank, mine.identity)
        if rank == mine.rank or not (steps := theirs.sound_steps()):
            continue
        weights = theirs.load(steps[0])["learner"]["weights"].double()
        total, count = (weights if total is None else total + weights), count + 1
    return None if total is None else total / count
