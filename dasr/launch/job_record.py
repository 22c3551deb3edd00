"""job.json: which job a run folder belongs to, written before and after submission; outcome.json: its end."""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from dasr.errors import UserError
from dasr.files import atomic, write_json
from dasr.lock import ProcessId
from dasr.worlds.process import authentication

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%z"


@dataclass
class JobRecord:
    """`token` fences off jobs of the past: a supervisor whose token is not the file's leaves at once."""

    executor: str  # local or slurm
    name: str  # as squeue shows it
    tasks: int
    folder: str  # submitit's
    owner: ProcessId
    job_id: str | None = None  # None while being submitted
    started: float | None = None  # local: start time of the process, since pids are used again
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    submitted: str = field(default_factory=lambda: time.strftime(TIME_FORMAT))

    @staticmethod
    def path(run_folder: Path) -> Path:
        return run_folder / "job.json"

    def submitted_at(self) -> float:
        """Seconds since the epoch."""
        return datetime.strptime(self.submitted, TIME_FORMAT).timestamp()

    def write(self, run_folder: Path) -> None:
        write_json(self.path(run_folder), asdict(self))

    @classmethod
    def read(cls, run_folder: Path) -> JobRecord | None:
        """The record of `run_folder`, None if there is none. Raises UserError if it cannot be read."""
        path = cls.path(run_folder)
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            record = cls(**{**given, "owner": ProcessId(**given["owner"])})
            if record.executor not in ("local", "slurm"):
                raise ValueError(record.executor)
            if record.job_id is not None and not (record.job_id.isdigit() and len(record.job_id) < 16):
                raise ValueError(record.job_id)
            record.submitted_at()
            return record
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UserError(
                f"{path} is damaged: look in the queue whether a job of this run is still there, cancel it, "
                "then remove the file"
            ) from None


def write_secret(run_folder: Path) -> None:
    """A new secret that the processes of the run's next job share, in a file that only this user can read."""
    with atomic(run_folder / "secret") as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(authentication.new())


def read_secret(run_folder: Path) -> bytes:
    return (run_folder / "secret").read_bytes()


@dataclass
class Outcome:
    """outcome.json: how a job ended, as its coordinator saw it.

    `state`: `finished` (the budget is spent, the model is written), `failed` (`reason` says why), `stopped`
    (asked to stop: saved, and perhaps queued again), `superseded` (the run folder belongs to a newer job;
    supervisors are told, but it is never written)."""

    token: str
    state: str
    reason: str = ""
    saved: bool = False  # stopped, and what the learners had trained is in their checkpoints

    @staticmethod
    def path(run_folder: Path) -> Path:
        return run_folder / "outcome.json"

    def write(self, run_folder: Path) -> None:
        write_json(self.path(run_folder), asdict(self))

    @classmethod
    def read(cls, run_folder: Path, token: str) -> Outcome | None:
        """The outcome of the job with that token; None if it has none yet."""
        try:
            outcome = cls(**json.loads(cls.path(run_folder).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return outcome if outcome.token == token else None
