"""The head's side, through submitit's local executor: killed, restarted, cancelled, doubled."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from dasr.launch.dispatcher import Follower

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
    errors = head.communicate(timeout=120)[1]
    assert head.returncode != 0
    assert f"learner {rank} was lost before the start" in errors or rank == "0", errors
    eventually(lambda: processes(tmp_path) == [])
