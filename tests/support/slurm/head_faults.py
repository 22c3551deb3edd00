"""What happens to the dispatcher and to who started it; see faults.py."""

from __future__ import annotations

import json
import random
import signal
import time

from tests.support.slurm.trial import Trial


def _found(trial: Trial) -> bool:
    """Whether a dispatcher that was started again knows its job, or found the run finished already."""
    return f"found job {trial.job_id()}" in trial.head_log or f"run {trial.run} is finished" in trial.head_log


def _found_again(trial: Trial) -> float:
    """A new dispatcher finds the job and sees it to its end: seconds until it knew it."""
    began = time.monotonic()
    second = trial.train()
    trial.wait("finding the job", lambda: _found(trial))
    recovered = time.monotonic() - began
    assert trial.finish(second) == 0, trial.head_log
    trial.check_nothing_left(jobs=1)
    return recovered


def head_killed(trial: Trial, step: int, draw: random.Random) -> float:
    """SIGKILL of the dispatcher, which is started again: it finds its job."""
    first = trial.train()
    trial.wait_for_step(step)
    first.kill()
    first.wait()
    time.sleep(draw.uniform(0, 2))
    return _found_again(trial)


def head_terminated(trial: Trial, step: int, draw: random.Random) -> float:
    """SIGTERM of the dispatcher cancels the job, which saves first; a new one goes on from there."""
    first = trial.train()
    trial.wait_for_step(step)
    first.send_signal(signal.SIGTERM)
    assert trial.finish(first) == 128 + signal.SIGTERM
    trial.check_nothing_left(jobs=1)
    before, began = trial.step(), time.monotonic()
    second = trial.train()
    trial.wait_for_step(before + 1)
    recovered = time.monotonic() - began
    assert trial.finish(second) == 0, trial.head_log
    trial.check_nothing_left(jobs=2)
    return recovered


def two_dispatchers(trial: Trial, step: int, draw: random.Random) -> float:
    """A second dispatcher on one run folder is refused with the name of the first."""
    first = trial.train()
    trial.wait_for_step(step)
    began = time.monotonic()
    second = trial.train()
    assert trial.finish(second, within_s=60) == 2
    refused = time.monotonic() - began
    assert f"already being dispatched by root (process {first.pid}" in trial.head_log
    assert trial.finish(first) == 0, trial.head_log
    trial.check_nothing_left(jobs=1)
    return refused


def snakemake_killed(trial: Trial, step: int, draw: random.Random) -> float:
    """SIGKILL of what started the dispatcher, named snakemake: the dispatcher goes, the job stays."""
    script = trial.folder / "snakemake"
    command = json.dumps(["bash", "-c", "exec 1>>head.log 2>&1; " + " ".join(trial.command()) + "; true"])
    script.write_text(f"import subprocess\nsubprocess.run({command})\n")
    parent = trial.start([trial.command()[0], str(script)])
    trial.wait_for_step(step)
    parent.kill()
    parent.wait()
    trial.wait("the dispatcher's leaving", lambda: "snakemake is gone" in trial.head_log, within_s=30)
    return _found_again(trial)
