"""Learner processes: their exit statuses, their logs, and that none outlives its supervisor."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from dasr.launch.child import Child, describe_exit


def test_exits_are_told_in_words() -> None:
    assert describe_exit(-9) == "was killed by SIGKILL"


def test_a_learner_is_not_stopped_by_signals_that_are_for_its_supervisor(tmp_path: Path) -> None:
    """Some of Slurm's process trackers signal all descendants of a task."""

    async def signal_it() -> int:
        command = (sys.executable, "-S", "-c", "print('here', flush=True); input()")
        child = await Child.start(command, os.environ, tmp_path / "log", "a learner")
        for number in (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT):
            child._signal(number)
        return await child.wait()

    assert asyncio.run(signal_it()) == 1, "it came to input(), which fails: there is no terminal"
