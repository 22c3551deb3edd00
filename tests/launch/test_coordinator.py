"""What a job does when learners end well, are killed, hang, err, or when supervisors are missing."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from dasr.launch.supervisor import Supervisor
from tests.launch.conftest import RunJob, children


def log(folder: Path, rank: int) -> str:
    return (folder / "logs" / f"{rank}.log").read_text()


def test_a_job_whose_learners_all_finish_is_finished(job: RunJob, tmp_path: Path) -> None:
    assert job().state == "finished"
    assert (tmp_path / "model.safetensors").exists()


def test_all_learners_start_again_from_their_checkpoints_when_a_synchronous_one_is_killed(
    job: RunJob, tmp_path: Path
) -> None:
    assert job("1:5:0:KILL").state == "finished"
    assert "learner 1 starts at step 5" in log(tmp_path, 1)
    assert log(tmp_path, 2).count("starts") == 2
    assert "was killed by SIGKILL" in (tmp_path / "logs" / "job.log").read_text()


def test_a_synchronous_run_gives_up_after_its_restarts_and_names_the_learner(job: RunJob) -> None:
    outcome = job("2:5:0:KILL", restarts=0)
    assert outcome.state == "failed"
    assert "learner 2" in outcome.reason and "SIGKILL" in outcome.reason


def test_an_asynchronous_run_goes_on_without_a_killed_learner(job: RunJob, tmp_path: Path) -> None:
    assert job("1:5:0:KILL", asynchronous=True, replacements=0).state == "finished"
    assert log(tmp_path, 0).count("starts") == log(tmp_path, 1).count("starts") == 1


def test_a_replacement_takes_the_place_of_a_killed_asynchronous_learner(job: RunJob, tmp_path: Path) -> None:
    assert job("1:5:0:REPLACE", asynchronous=True).state == "finished"
    assert "replacement 1" in log(tmp_path, 1)
    assert log(tmp_path, 0).count("starts") == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_users_mistake_ends_the_run_with_the_learners_own_words(
    job: RunJob, tmp_path: Path, asynchronous: bool
) -> None:
    outcome = job("1:3:0:MISTAKE", asynchronous=asynchronous)
    assert outcome.state == "failed"
    assert "the loss is nan at step 3" in outcome.reason
    assert log(tmp_path, 0).count("starts") == 1


@pytest.mark.slow
def test_a_learner_without_sign_of_life_ends_the_run_in_bounded_time(job: RunJob) -> None:
    outcome = job("1:3:0:HANG", first_step_s=5.0)  # it has sent no heartbeat
    assert outcome.state == "failed"
    assert "hangs" in outcome.reason and "File" in outcome.reason, "it shows where the learner stood"


def test_supervisors_that_never_report_are_named(job: RunJob) -> None:
    outcome = job(present=[0, 2], startup_s=1.0)
    assert outcome.state == "failed"
    assert "[1] did not report" in outcome.reason


def test_a_lost_supervisor_ends_a_synchronous_run_and_its_learner(job: RunJob) -> None:
    async def lose(tasks: list[Supervisor]) -> None:
        while not tasks[1]._child:
            await asyncio.sleep(0.05)
        tasks[1]._connection._writer.transport.abort()

    outcome = job(steps=10_000, meanwhile=lose)
    assert outcome.state == "failed"
    assert "learner 1" in outcome.reason and "supervisor" in outcome.reason
    assert children() == []


def test_a_newer_job_on_the_run_folder_makes_the_older_one_leave(job: RunJob, tmp_path: Path) -> None:
    from tests.launch.conftest import work

    async def supersede(tasks: list[Supervisor]) -> None:
        while not all(task._child for task in tasks):
            await asyncio.sleep(0.05)
        work(tmp_path, 1, tasks[0]._plan.policy)

    outcome = job(steps=10_000, meanwhile=supersede)
    assert outcome.state == "nothing was written", "the folder is no longer its own to write into"
    assert children() == []
    assert not (tmp_path / "model.safetensors").exists()


def test_learners_that_do_not_stop_when_asked_are_killed(job: RunJob) -> None:
    async def ask(tasks: list[Supervisor]) -> None:
        while not all(task._child for task in tasks):
            await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGUSR2)

    assert job(steps=10_000, meanwhile=ask, stop_s=1.0).state == "stopped"
    assert children() == []
