"""The fault table: each function does one harm to a live run and sees it through to its end.

Each returns seconds to recover: from the harm until training had got further than ever before it (where
the run ends, until its dispatcher had said why).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

from tests.support.slurm.head_faults import head_killed, head_terminated, snakemake_killed, two_dispatchers
from tests.support.slurm.trial import Trial


def learner_killed(trial: Trial, step: int, draw: random.Random) -> float:
    """SIGKILL of a learner: a synchronous run starts again from a checkpoint, an asynchronous one goes on."""
    head = trial.train()
    trial.wait_for_step(step)
    asynchronous = trial.run.startswith("ad-")
    victim = draw.randrange(4)
    began = time.monotonic()
    trial.learners()[victim].kill()
    trial.wait("the learner's second life", lambda: trial.log(victim).count("== learner") == 2)
    if not asynchronous:
        trial.wait_for_step(trial.step() + 1)
    recovered = time.monotonic() - began
    assert trial.finish(head) == 0, trial.head_log
    assert f"learner {victim} (on n{victim + 1}) was killed by SIGKILL" in trial.head_log
    lives = [trial.log(rank).count("== learner") for rank in range(4)]
    expected = [1 + (rank == victim) for rank in range(4)] if asynchronous else [2] * 4
    assert lives == expected, f"learners were started {lives} times"
    trial.check_nothing_left(jobs=1)
    return recovered


def node_down(trial: Trial, step: int, draw: random.Random) -> float:
    """A node goes down: Slurm requeues the job, which resumes when the node is back."""
    node = f"nodename=n{draw.randint(1, 4)}"
    head = trial.train()
    trial.wait_for_step(step)
    before, began = trial.step(), time.monotonic()
    trial.cluster.command("scontrol", "update", node, "state=down", "reason=test")
    try:
        trial.wait("the requeue", lambda: "PENDING" in trial.cluster.command("squeue", "-h", "-o", "%T"))
    finally:
        trial.cluster.command(
            "scontrol", "update", node, "state=resume", check=False
        )  # it may be back already
    return _resumed(trial, head, before, began)


def preempted(trial: Trial, step: int, draw: random.Random) -> float:
    """A job of a higher partition takes all nodes for a moment."""
    head = trial.train()
    trial.wait_for_step(step)
    before, began = trial.step(), time.monotonic()
    trial.cluster.command(
        "sbatch",
        "-p",
        "urgent",
        "-N",
        "4",
        "--exclusive",
        "-J",
        "urgent",
        "-o",
        "/dev/null",
        "--wrap",
        "sleep 1",
    )
    recovered = _resumed(trial, head, before, began)
    assert "saving" in trial.head_log, "learners were told to save before the preemption"
    return recovered


def time_limit(trial: Trial, step: int, draw: random.Random) -> float:
    """The time limit comes near: the job saves, requeues itself and resumes."""
    head = trial.train()
    trial.wait_for_step(step)
    before, began = trial.step(), time.monotonic()
    trial.cluster.command("scancel", "--signal=USR2", trial.job_id())  # what Slurm sends before the limit
    recovered = _resumed(trial, head, before, began)
    assert "asked to stop (SIGUSR2): saving" in trial.head_log
    return recovered


def suspended(trial: Trial, step: int, draw: random.Random) -> float:
    """The job stands still for longer than a supervisor may be silent, and goes on as if nothing had been."""
    head = trial.train()
    trial.wait_for_step(step)
    trial.cluster.command("scontrol", "suspend", trial.job_id())
    learners = list(trial.learners().values())  # whom Slurm stops too where it uses control groups
    for learner in learners:
        learner.suspend()
    before = trial.step()
    time.sleep(35)
    began = time.monotonic()
    for learner in learners:
        learner.resume()
    trial.cluster.command("scontrol", "resume", trial.job_id())
    trial.wait_for_step(before + 1)
    recovered = time.monotonic() - began
    assert trial.finish(head) == 0, trial.head_log
    assert [trial.log(rank).count("== learner") for rank in range(4)] == [1] * 4
    trial.check_nothing_left(jobs=1)
    return recovered


def _resumed(trial: Trial, head: subprocess.Popen[bytes], before: int, began: float) -> float:
    trial.wait("the restart", lambda: trial.log(0).count("== learner") == 2)
    trial.wait_for_step(before + 1)
    recovered = time.monotonic() - began
    assert trial.finish(head) == 0, trial.head_log
    assert "resumed at step" in trial.log(0)
    trial.check_nothing_left(jobs=1)
    return recovered


def disk_full(trial: Trial, step: int, draw: random.Random) -> float:
    """The disk of the checkpoints fills up (a small tmpfs); with room made, the same command goes on."""
    folder = trial.run_folder / "checkpoints"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    try:
        first = trial.train()
        trial.wait_for_step(step)
        trial.wait("everybody's first checkpoint", lambda: len(list(folder.glob("rank*/[0-9]*.ckpt"))) >= 4)
        began = time.monotonic()
        with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 16))
        assert trial.finish(first) == 2
        said = time.monotonic() - began
        assert "No space left on device" in trial.head_log and "cannot write a checkpoint" in trial.head_log
        (folder / "filler").unlink()
        assert trial.finish(trial.train()) == 0, trial.head_log
        assert "resumed at step" in trial.log(0), trial.log(0)
        trial.check_nothing_left(jobs=2)
        return said
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def truncated_checkpoint(trial: Trial, step: int, draw: random.Random) -> float:
    """The newest checkpoint of one learner is cut: all fall back to the one before, and say so."""
    first = trial.train()
    trial.wait_for_step(step)
    victim = draw.randrange(4)
    folder = trial.run_folder / "checkpoints" / f"rank{victim:04d}"
    trial.wait("two checkpoints", lambda: len(list(folder.glob("[0-9]*.ckpt"))) >= 2)
    first.send_signal(signal.SIGTERM)
    trial.finish(first)
    newest = max(folder.glob("[0-9]*.ckpt"))
    os.truncate(newest, draw.randrange(newest.stat().st_size))
    began = time.monotonic()
    second = trial.train()
    trial.wait("falling back", lambda: f"{newest.name} is corrupt: falling back" in trial.log(victim))
    recovered = time.monotonic() - began
    assert trial.finish(second) == 0, trial.head_log
    trial.check_nothing_left(jobs=2)
    return recovered


def learner_hung(trial: Trial, step: int, draw: random.Random) -> float:
    """A learner stands still (SIGSTOP): the job soon ends with its name; the same command goes on."""
    first = trial.train("--hang-seconds", "12")
    trial.wait_for_step(step)
    victim = draw.randrange(4)
    began = time.monotonic()
    trial.learners()[victim].suspend()
    assert trial.finish(first) == 2
    said = time.monotonic() - began
    assert f"learner {victim} (on n{victim + 1}) hangs" in trial.head_log
    assert trial.finish(trial.train()) == 0, trial.head_log
    trial.check_nothing_left(jobs=2)
    return said


Fault = Callable[[Trial, int, random.Random], float]
SYNCHRONOUS: list[Fault] = [
    learner_killed,
    node_down,
    preempted,
    suspended,
    time_limit,
    head_killed,
    head_terminated,
    snakemake_killed,
    two_dispatchers,
    disk_full,
    truncated_checkpoint,
    learner_hung,
]
ASYNCHRONOUS: list[Fault] = [learner_killed, node_down, preempted, head_killed]
