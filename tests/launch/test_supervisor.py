"""What a supervisor does when it cannot write, and while it leaves."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
from pathlib import Path

import pytest

from dasr import log as logs
from dasr.launch.job_record import Outcome
from tests.launch.conftest import RunJob, children


def test_a_disk_without_room_for_the_outcome_does_not_keep_a_job_waiting(
    job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one without room for the supervisors' own logs."""

    def full(self: Outcome, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "outcome.json"))

    monkeypatch.setattr(Outcome, "write", full)
    logger = logging.getLogger("dasr")
    kept = logger.level, logger.handlers, logger.propagate
    with contextlib.suppress(OSError), open("/dev/full", "w") as stderr:  # closing it fails
        monkeypatch.setattr(sys, "stderr", stderr)
        logs.configure()
        outcome = job("1:3:0:MISTAKE")
        monkeypatch.undo()
    logger.level, logger.handlers, logger.propagate = kept
    assert outcome.state == "nothing was written"
    assert children() == []


def test_nothing_interrupts_a_supervisor_that_leaves(job: RunJob, signals: list[signal.Signals]) -> None:
    """Slurm ends the tasks of a job as soon as one has left; task 0 may have to queue it again first."""
    job()
    assert [signal.getsignal(number) for number in signals] == [signal.SIG_IGN] * len(signals)
