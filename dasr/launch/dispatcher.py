"""The head's side of a run: find its job, show its progress, say why it failed, cancel it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import psutil

from dasr.clock import Clock
from dasr.errors import UserError
from dasr.launch.job_record import JobRecord, Outcome
from dasr.launch.jobs import Job, attach
from dasr.launch.slurm import JobState
from dasr.progress import Meter

logger = logging.getLogger(__name__)

_CANCEL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CancelRequest:
    """The last signal that asked to cancel, caught from `catch` on: none is lost during submission."""

    def __init__(self) -> None:
        self.last = 0

    def catch(self) -> None:
        for number in _CANCEL:
            signal.signal(number, self._caught)

    def _caught(self, number: int, _frame: object) -> None:
        self.last = number


class Dispatcher:
    """Watches one job to its end. Progress is logged: to the rule's log, or a terminal."""

    LEAVE_S = 90.0  # a cancelled job has this long: FaultPolicy.stop_s to save, and Slurm to end it
    SETTLE_S = 60.0  # from a job's own word that it ended to the cluster's: Slurm may still run an epilog

    def __init__(
        self,
        run: str,
        run_folder: Path,
        record: JobRecord,
        job: Job,
        cancel: CancelRequest,
        clock: Clock = Clock(),  # noqa: B008  (it is frozen)
    ):
        self._run = run
        self._folder = run_folder
        self._record = record
        self._job = job
        self._cancel_request = cancel
        self._clock = clock
        self._told = ""
        self._head = _snakemake_above()
        self._logs = [Follower(run_folder / "logs" / name) for name in ("job.log", "0.log")]
        self._metrics = Follower(run_folder / "metrics.jsonl")
        self._meter = Meter(run, "samples")

    def watch(self) -> None:
        """Return when the run is finished. Raises UserError with the reason, SystemExit if cancelled."""
        asked = -float("inf")
        state = JobState("PENDING")
        while True:
            self._show()
            if self._cancel_request.last:
                self._cancel()
            if self._head_gone():
                logger.info(
                    f"snakemake is gone; job {self._record.job_id} goes on: start snakemake again to find it"
                )
                sys.exit(3)
            ended = Outcome.read(self._folder, self._record.token)
            if ended and ended.state in ("finished", "failed"):
                self._settle()
                return self._conclude(ended)
            if self._clock.now() - asked > self._job.poll_s:
                asked = self._clock.now()
                state = self._job.state()
                self._tell(state)
            if state.ended:
                self._clock.sleep(1.0)  # the shared file system may show the outcome late
                return self._conclude(Outcome.read(self._folder, self._record.token), state)
            self._clock.sleep(0.5)

    def _show(self) -> None:
        for log in self._logs:
            for line in log.lines():
                logger.info(line)
        for line in self._metrics.lines():
            with contextlib.suppress(
                ValueError
            ):  # half a record, where a resumed run wrote over an earlier one
                self._report(json.loads(line))

    def _report(self, record: dict[str, Any]) -> None:
        """Progress of rank 0, from its record."""
        if record["kind"] == "train":
            note = f"loss {record['loss']:.3f}, learning rate {record['learning_rate']:.3g}"
            self._meter.show(record["samples"], record["of"], note)
        elif record["kind"] == "summary":
            self._meter.close()
            logger.info(
                f"{record['samples']:,} samples in {record['seconds']:.1f} s: {record['frames_per_s']:,.0f} "
                f"frames/s, {100 * record['wait_fraction']:.0f} % of the time waiting for others"
            )

    def _tell(self, state: JobState) -> None:
        text = f"job {self._record.job_id}: {state.state.lower()}" + (
            f" ({state.detail})" if state.detail else ""
        )
        if text != self._told:
            self._told = text
            logger.info(text)

    def _settle(self) -> None:
        """Wait until the job has left the cluster too, so that the next one finds its nodes free."""
        deadline = self._clock.now() + self.SETTLE_S
        while not self._job.state().ended and self._clock.now() < deadline:
            self._clock.sleep(min(1.0, self._job.poll_s))
        self._show()

    def _conclude(self, outcome: Outcome | None, state: JobState | None = None) -> None:
        if outcome and outcome.state == "finished":
            return
        job = f"job {self._record.job_id}"
        if state and state.state != "COMPLETED":
            job += f" ended as {state.state}" + (f", {state.detail}" if state.detail else "")
        if outcome and outcome.reason:
            why = outcome.reason
        else:
            why = f"it left no word; the last lines of task 0:\n{self._last_words()}"
        if shutil.disk_usage(self._folder).free < 1 << 20:
            why = f"the disk of {self._folder} is full; {why}"
        raise UserError(f"run {self._run} failed ({job}): {why}")

    def _last_words(self) -> str:
        path = Path(self._record.folder) / f"{self._record.job_id}_0_log.err"
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
        except OSError as error:
            lines = [f"({path}: {error.strerror})"]
        return "\n".join("    " + line for line in lines)

    def _cancel(self) -> None:
        name = signal.Signals(self._cancel_request.last).name
        logger.info(f"{name}: job {self._record.job_id} is told to save and leave")
        self._job.cancel()
        deadline = self._clock.now() + self.LEAVE_S
        while not self._job.state().ended and self._clock.now() < deadline:
            self._show()
            self._clock.sleep(min(1.0, self._job.poll_s))
        if not self._job.state().ended:
            logger.info(f"job {self._record.job_id} did not leave within {self.LEAVE_S:.0f} s: killing it")
            self._job.cancel(kill=True)
            self._settle()
            if not self._job.state().ended:
                logger.info(f"job {self._record.job_id} is still there: end it by hand")
                sys.exit(128 + self._cancel_request.last)
        self._show()
        ended = Outcome.read(self._folder, self._record.token)
        if ended and ended.saved:
            logger.info(f"{self._run} is saved and its job has ended; the same command goes on from there")
        else:
            logger.info(
                f"the job of {self._run} has ended; the same command goes on from its last checkpoint"
            )
        sys.exit(128 + self._cancel_request.last)

    def _head_gone(self) -> bool:
        return self._head is not None and not self._head.is_running()


class Follower:
    """New lines of a growing file, from where it stands now."""

    def __init__(self, path: Path):
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[str]:
        try:
            with open(self._path, "rb") as stream:
                # A resumed run takes back the records behind its checkpoint.
                self._offset = min(self._offset, stream.seek(0, os.SEEK_END))
                stream.seek(self._offset)
                new = stream.read()
        except OSError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode("utf-8", errors="replace").splitlines()


def _snakemake_above() -> psutil.Process | None:
    """The snakemake process that started us: when it is killed, its next start must find the job."""
    for process in psutil.Process(os.getpid()).parents():
        with contextlib.suppress(psutil.Error):
            if "snakemake" in " ".join(process.cmdline()[:3]):
                return process
    return None


def find_again(
    run_folder: Path,
    name: str,
    cancel: CancelRequest,
    clock: Clock = Clock(),  # noqa: B008  (it is frozen)
) -> tuple[JobRecord, Job] | None:
    """The job of this run folder, `name` in the queue, that is still queued or running."""
    record = JobRecord.read(run_folder)
    if record is None:
        return None
    job = attach(record, run_folder, name)
    if job is None:
        return None
    state = job.state()
    while state.state == "UNKNOWN" and state.known:  # never submit a second one because Slurm is silent
        logger.info(f"job {record.job_id}: {state.detail}; asking again")
        clock.sleep(job.poll_s)
        if cancel.last:
            sys.exit(128 + cancel.last)
        state = job.state()
    return None if state.ended else (record, job)
