"""The head's side, through submitit's local executor: killed, restarted, cancelled, doubled."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from dasr.errors import UserError
from dasr.launch.dispatcher import CancelRequest, Dispatcher, Follower, find_again
from dasr.launch.job_record import JobRecord, Outcome
from dasr.launch.jobs import SlurmJob
from dasr.launch.slurm import JobState
from dasr.lock import ProcessId
from tests.support.played_clock import PlayedClock

ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path, steps: int, *silence: str) -> subprocess.Popen[str]:
    """The head, in a process group of its own, as a shell starts it."""
    script = ROOT / "tests" / "support" / "dispatch_for_tests.py"
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(steps), *silence],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        process_group=0,
    )


def eventually(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.1)


def processes(folder: Path) -> list[psutil.Process]:
    """Supervisors, learners and controllers of the run in `folder`."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        mine = str(folder) in line and "dispatch_for_tests" not in line
        if mine and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def job_id(folder: Path) -> int:
    return int(json.loads((folder / "job.json").read_text())["job_id"])


@pytest.mark.slow
def test_the_head_may_be_killed_doubled_and_cancelled_and_nothing_is_lost_or_left(tmp_path: Path) -> None:
    first = start(tmp_path, 100_000)
    eventually(lambda: (tmp_path / "saved.1").exists())

    second = start(tmp_path, 100_000)
    assert "already being dispatched by" in second.communicate()[1]
    assert second.returncode != 0

    first.kill()
    first.wait()
    job = job_id(tmp_path)
    assert len(processes(tmp_path)) > 2, "the job goes on without its head"

    third = start(tmp_path, 100_000)
    assert third.stderr is not None
    lines = iter(third.stderr.readline, "")
    assert any(f"found job {job}" in line for line in lines)
    third.send_signal(signal.SIGTERM)
    third.communicate()
    assert third.returncode == 128 + signal.SIGTERM
    assert processes(tmp_path) == []

    done = int((tmp_path / "saved.0").read_text())
    fourth = start(tmp_path, done + 10)
    errors = fourth.communicate()[1]
    assert fourth.returncode == 0, errors
    assert f"learner 0 starts at step {done}" in (tmp_path / "logs" / "0.log").read_text()
    assert job_id(tmp_path) != job


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["controller", "supervisor 0", "supervisor 1"])
def test_no_process_is_left_whatever_part_of_a_job_is_killed(tmp_path: Path, victim: str) -> None:
    head = start(tmp_path, 100_000)
    eventually(lambda: (tmp_path / "saved.0").exists() and (tmp_path / "saved.1").exists())
    controller = psutil.Process(job_id(tmp_path))
    if victim == "controller":
        controller.kill()
    else:
        rank = victim.split()[1]
        tasks = [p for p in controller.children() if p.environ()["SUBMITIT_LOCAL_GLOBALID"] == rank]
        tasks[0].kill()
    errors = head.communicate()[1]
    assert head.returncode != 0
    assert "run test failed" in errors
    eventually(lambda: processes(tmp_path) == [])


@pytest.mark.slow
def test_a_job_that_was_suspended_goes_on(tmp_path: Path) -> None:
    """`scontrol suspend`, a paused container: all of its processes stand still for longer than a silence."""
    head = start(tmp_path, 200, "6")
    eventually(lambda: (tmp_path / "saved.1").exists())
    suspended = processes(tmp_path)
    assert len(suspended) == 5, "controller, two supervisors, two learners"
    for process in suspended:
        process.suspend()
    time.sleep(9)
    for process in suspended:
        process.resume()
    errors = head.communicate()[1]
    assert head.returncode == 0, errors
    assert "lost" not in errors


@pytest.mark.slow
def test_a_head_that_is_stopped_in_its_terminal_finds_the_job_finished(tmp_path: Path) -> None:
    head = start(tmp_path, 100)
    eventually(lambda: (tmp_path / "saved.1").exists())
    os.killpg(head.pid, signal.SIGSTOP)  # Ctrl-Z
    eventually(lambda: (tmp_path / "outcome.json").exists())
    os.killpg(head.pid, signal.SIGCONT)
    errors = head.communicate()[1]
    assert head.returncode == 0, errors


def test_a_follower_shows_whole_lines_once_and_only_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("old\n")
    log = Follower(path)
    with open(path, "a") as stream:
        stream.write("new\nhalf")
        stream.flush()
        assert log.lines() == ["new"]
        stream.write(" a line\n")
    assert log.lines() == ["half a line"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_supervisor_that_is_killed_before_the_start_ends_the_job_at_once(tmp_path: Path, rank: str) -> None:
    """Not when start-up has taken as long as it may: five minutes."""
    head = start(tmp_path, 100_000)

    def tasks() -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error, OSError, ValueError, TypeError):
            found = psutil.Process(job_id(tmp_path)).children()
            return [p for p in found if p.environ().get("SUBMITIT_LOCAL_GLOBALID") == rank]
        return []

    eventually(lambda: tasks() != [])
    tasks()[0].kill()
    errors = head.communicate()[1]
    assert head.returncode != 0
    assert f"learner {rank} was lost before the start" in errors or rank == "0", errors
    eventually(lambda: processes(tmp_path) == [])


class FakeJob:
    """A job in a queue whose time is played. It ends at `ends`, or `dies_in` seconds after it is killed."""

    poll_s = 10.0
    end_command = "scancel 7"

    def __init__(
        self, time: PlayedClock, ends: float = math.inf, dies_in: float = 0.0, last: str = "CANCELLED"
    ):
        self.time, self.ends, self.dies_in, self.last = time, ends, dies_in, last
        self.asked: list[float] = []
        self.cancelled: list[tuple[float, bool]] = []

    def state(self) -> JobState:
        self.asked.append(self.time.seconds)
        return JobState(self.last if self.time.seconds >= self.ends else "RUNNING")

    def cancel(self, kill: bool = False) -> None:
        self.cancelled.append((self.time.seconds, kill))
        if kill:
            self.ends = self.time.seconds + self.dies_in


def record(folder: Path, token: str = "t") -> JobRecord:
    given = JobRecord("slurm", "dasr-test", 2, str(folder), ProcessId.this_process(), "7", token=token)
    (folder / "logs").mkdir(exist_ok=True)
    given.write(folder)
    return given


def watched(folder: Path, job: FakeJob, cancel: CancelRequest) -> Dispatcher:
    return Dispatcher("test", folder, record(folder), job, cancel, job.time.clock)


def test_a_cancelled_job_that_does_not_leave_is_killed_in_the_end(tmp_path: Path) -> None:
    request = CancelRequest()
    request.last = signal.SIGTERM
    job = FakeJob(PlayedClock(), dies_in=5.0)
    with pytest.raises(SystemExit) as left:
        watched(tmp_path, job, request).watch()
    assert left.value.code == 128 + signal.SIGTERM
    (asked, first), (killed, last) = job.cancelled
    assert (asked, first, last) == (0.0, False, True)
    assert Dispatcher.LEAVE_S <= killed < Dispatcher.LEAVE_S + 2


def test_a_cancelled_job_that_leaves_is_not_killed(tmp_path: Path) -> None:
    request = CancelRequest()
    request.last = signal.SIGINT
    job = FakeJob(PlayedClock(), ends=30.0)
    with pytest.raises(SystemExit):
        watched(tmp_path, job, request).watch()
    assert job.cancelled == [(0.0, False)]


def test_the_queue_is_asked_no_more_often_than_it_bears(tmp_path: Path) -> None:
    job = FakeJob(PlayedClock(), ends=600.0)
    with pytest.raises(UserError, match="ended as CANCELLED"):
        watched(tmp_path, job, CancelRequest()).watch()
    gaps = [later - earlier for earlier, later in pairwise(job.asked)]
    assert len(gaps) > 50 and min(gaps) >= job.poll_s


@pytest.mark.parametrize("state", ["NODE_FAIL", "PREEMPTED", "TIMEOUT", "OUT_OF_MEMORY"])
def test_a_job_that_ends_without_a_word_fails_by_its_state(tmp_path: Path, state: str) -> None:
    job = FakeJob(PlayedClock(), ends=30.0, last=state)
    with pytest.raises(UserError, match=f"run test failed .job 7 ended as {state}.: it left no word"):
        watched(tmp_path, job, CancelRequest()).watch()
    assert job.time.seconds < 30.0 + 2 * job.poll_s


def test_a_finished_run_does_not_wait_for_ever_for_the_queue(tmp_path: Path) -> None:
    job = FakeJob(PlayedClock())
    head = watched(tmp_path, job, CancelRequest())
    Outcome("t", "finished").write(tmp_path)
    head.watch()
    assert Dispatcher.SETTLE_S <= job.time.seconds < Dispatcher.SETTLE_S + 2


def test_while_slurm_is_silent_no_second_job_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played, answers = PlayedClock(), [JobState("UNKNOWN", "silent")] * 20 + [JobState("RUNNING")]
    monkeypatch.setattr(SlurmJob, "state", lambda self: answers.pop(0))
    record(tmp_path)
    found = find_again(tmp_path, "dasr-test", CancelRequest(), played.clock)
    assert found is not None and found[0].job_id == "7"
    assert played.seconds == 20 * SlurmJob.poll_s
