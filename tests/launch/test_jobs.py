"""A job is found again only if it is the one that was submitted, ended wholly, and asked for as told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dasr.errors import UserError
from dasr.launch import jobs, slurm
from dasr.launch.dispatcher import CancelRequest, Dispatcher, find_again
from dasr.launch.job_record import JobRecord
from dasr.launch.jobs import LocalJob, SlurmJob, attach, submitit_folder
from dasr.launch.slurm import Expected
from dasr.lock import ProcessId

# A controller whose tasks do not hear what asks them to leave, with a task in a session of its own.
DEAF = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    os.fork()
print("ready", flush=True)
time.sleep(600)
"""


def record(folder: Path, executor: str, job_id: int | str, started: float | None = None) -> JobRecord:
    return JobRecord(
        executor, "dasr-test", 2, str(submitit_folder(folder)), ProcessId.this_process(), str(job_id), started
    )


@pytest.fixture
def unrelated() -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()


def test_a_foreign_job_record_ends_no_process_of_mine(tmp_path: Path, unrelated: psutil.Process) -> None:
    for started in (unrelated.create_time(), None):
        record(tmp_path, "local", unrelated.pid, started).write(tmp_path)
        assert find_again(tmp_path, "dasr-test", CancelRequest()) is None
        job = attach(record(tmp_path, "local", unrelated.pid, started), tmp_path, "dasr-test")
        assert job is not None and job.state().ended
        job.cancel()
        job.cancel(kill=True)
    assert unrelated.is_running() and unrelated.status() != psutil.STATUS_ZOMBIE


def test_a_job_that_is_killed_leaves_nothing_though_it_ignores_what_asks_it(tmp_path: Path) -> None:
    folder = str(submitit_folder(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", DEAF, folder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    controller = psutil.Process(process.pid)
    family = [controller, *controller.children(recursive=True)]
    assert len(family) == 3
    job = LocalJob(str(process.pid), controller.create_time(), folder)
    job.cancel()
    assert not job.state().ended, "it does not hear"
    job.cancel(kill=True)
    assert job.state().ended
    assert len(psutil.wait_procs(family)[0]) == 3


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, str, str]]:
    """What Slurm's commands answer: (exit status, stdout, stderr); asked commands are under `asked`."""
    given: dict[str, tuple[int, str, str]] = {}

    def ask(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, *given.get(command[0], (0, "", "")))

    monkeypatch.setattr(slurm, "_ask", ask)
    return given


def shown(**fields: str) -> tuple[int, str, str]:
    usual = {
        "JobId": "7",
        "JobName": "dasr-test",
        "UserId": f"ann({os.getuid()})",
        "JobState": "RUNNING",
        "SubmitTime": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    return 0, " ".join(f"{name}={value}" for name, value in {**usual, **fields}.items()), ""


@pytest.mark.parametrize(
    "other",
    [
        {"JobName": "somebody-elses"},
        {"UserId": f"bob({os.getuid() + 1})"},
        {"SubmitTime": "2020-01-01T00:00:00"},
    ],
)
def test_a_slurm_job_of_another_name_user_or_time_is_not_touched(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, tuple[int, str, str]],
    other: dict[str, str],
) -> None:
    cancelled: list[str] = []
    monkeypatch.setattr(slurm, "cancel", lambda job_id, kill=False: cancelled.append(job_id))
    given = record(tmp_path, "slurm", 7)
    given.write(tmp_path)
    answers["scontrol"] = shown(**other)
    assert find_again(tmp_path, "dasr-test", CancelRequest()) is None
    job = attach(given, tmp_path, "dasr-test")
    assert job is not None
    job.cancel()
    assert cancelled == []
    answers["scontrol"] = shown()
    assert find_again(tmp_path, "dasr-test", CancelRequest()) is not None
    job.cancel()
    assert cancelled == ["7"]


def test_the_name_that_is_looked_for_is_the_runs_and_not_the_records(
    tmp_path: Path, answers: dict[str, tuple[int, str, str]]
) -> None:
    replace(record(tmp_path, "slurm", 7), name="somebody-elses").write(tmp_path)
    answers["scontrol"] = shown(JobName="somebody-elses")
    assert find_again(tmp_path, "dasr-test", CancelRequest()) is None


def test_accounting_tells_whose_job_it_was_too(answers: dict[str, tuple[int, str, str]]) -> None:
    answers["scontrol"] = (1, "", "slurm_load_jobs error: Invalid job id specified")
    now = time.strftime("%Y-%m-%dT%H:%M:%S")
    expected = Expected("dasr-test", time.time())
    answers["sacct"] = (0, f"TIMEOUT|0:0|n1|{os.getuid()}|{now}|dasr-test\n", "")
    assert slurm.job_state("7", expected).state == "TIMEOUT"
    answers["sacct"] = (0, f"RUNNING|0:0|n1|{os.getuid()}|{now}|another\n", "")
    assert slurm.job_state("7", expected).ended


@pytest.mark.parametrize("job_id", ["7; touch x", "", "-1", "9" * 30])
def test_a_job_number_that_is_none_is_a_damaged_record(tmp_path: Path, job_id: str) -> None:
    record(tmp_path, "local", 7).write(tmp_path)
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "job_id": job_id}))
    with pytest.raises(UserError, match="damaged"):
        JobRecord.read(tmp_path)


@pytest.mark.parametrize("known_to", ["scontrol", "sacct"])
def test_a_job_that_was_preempted_and_not_queued_again_has_ended(
    tmp_path: Path, answers: dict[str, tuple[int, str, str]], known_to: str
) -> None:
    (tmp_path / "logs").mkdir()
    invalid = (1, "", "slurm_load_jobs error: Invalid job id specified")
    answers["scontrol"] = shown(JobState="PREEMPTED") if known_to == "scontrol" else invalid
    answers["sacct"] = (0, "PREEMPTED|0:0|n1\n", "")
    job = SlurmJob("7", Expected("dasr-test", time.time()))
    with pytest.raises(UserError, match="ended as PREEMPTED"):
        Dispatcher("test", tmp_path, record(tmp_path, "slurm", 7), job, CancelRequest()).watch()


def test_given_options_win_over_those_of_a_module_or_an_outer_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM", "SBATCH", "SRUN", "PMI")):
            monkeypatch.delenv(name)
    outer = {
        "SLURM_JOB_ID": "4711",
        "SLURM_MEM_PER_CPU": "2000",
        "SLURM_CONF": "/etc/slurm.conf",
        "SBATCH_PARTITION": "debug",
        "SBATCH_TIMELIMIT": "1:00:00",
        "SBATCH_MEM_PER_NODE": "100M",
        "SBATCH_ACCOUNT": "speech",
        "SRUN_CPUS_PER_TASK": "4",
        "PMIX_RANK": "0",
    }
    for name, value in outer.items():
        monkeypatch.setenv(name, value)
    with jobs._without_slurm_variables({"partition", "mem", "time"}):
        left = {name: value for name, value in os.environ.items() if name in outer}
    assert left == {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_ACCOUNT": "speech"}, "the account was not given"
    assert {name: os.environ[name] for name in outer} == outer


def test_the_request_to_cancel_is_remembered() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    request = CancelRequest()
    request.catch()
    os.kill(os.getpid(), signal.SIGTERM)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert request.last == signal.SIGTERM
