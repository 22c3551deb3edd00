"""A job without a cluster: coordinator and supervisors in this process, learners as real processes."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from dasr.launch import supervisor
from dasr.launch.failures import FaultPolicy
from dasr.launch.job_record import JobRecord, Outcome, write_secret
from dasr.lock import ProcessId

LEARNER = Path(__file__).parents[1] / "support" / "learner_of_tests.py"


Meanwhile = Callable[[list[supervisor.Supervisor]], Awaitable[None]]


class RunJob(Protocol):
    """Run a job of `learners` with a `trouble` of `learner_of_tests`; how it ended."""

    def __call__(
        self,
        trouble: str = "",
        *,
        steps: int = 20,
        learners: int = 3,
        meanwhile: Meanwhile | None = None,
        present: Sequence[int] | None = None,
        **policy: Any,
    ) -> Outcome: ...


@dataclass
class FakeTask:
    """What submitit tells a task."""

    global_rank: int
    num_tasks: int
    num_nodes: int = 1
    node: int = 0
    cluster: str = "local"
    job_id: str = "1"

    @property
    def local_rank(self) -> int:
        return self.global_rank


def work(folder: Path, steps: int, policy: FaultPolicy, trouble: str = "") -> supervisor.SupervisorJob:
    record = JobRecord("local", "dasr-test", 3, str(folder / "submitit"), ProcessId.this_process())
    write_secret(folder)
    record.write(folder)
    command = ("-S", str(LEARNER), str(folder), str(steps), *([trouble] if trouble else []))
    return supervisor.SupervisorJob(folder, command, record.token, policy, cpus_per_task=1, gpus_per_task=0)


@pytest.fixture
def signals() -> Iterator[list[signal.Signals]]:
    """What a supervisor catches; pytest's own handlers come back."""
    caught = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2]
    before = [signal.getsignal(number) for number in caught]
    yield caught
    for number, handler in zip(caught, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def job(tmp_path: Path, signals: list[signal.Signals]) -> RunJob:
    """Run a job of three learners to its end: its outcome. `meanwhile(tasks)` may interfere."""

    def run(
        trouble: str = "",
        *,
        steps: int = 20,
        learners: int = 3,
        meanwhile: Meanwhile | None = None,
        present: Sequence[int] | None = None,
        **policy: Any,
    ) -> Outcome:
        plan = work(
            tmp_path,
            steps,
            FaultPolicy(**{"asynchronous": False, "hang_s": 60, "first_step_s": 60, **policy}),
            trouble,
        )

        async def together() -> None:
            ranks = range(learners) if present is None else present
            tasks = [supervisor.Supervisor(plan, FakeTask(rank, learners)) for rank in ranks]
            running = [asyncio.ensure_future(task.run()) for task in tasks]
            if meanwhile:
                await meanwhile(tasks)
            await asyncio.gather(*running, return_exceptions=True)

        asyncio.run(together())
        return Outcome.read(tmp_path, plan.token) or Outcome(plan.token, "nothing was written")

    return run


def children() -> list[psutil.Process]:
    """Learners of these tests that live."""
    return [
        p for p in psutil.Process().children(recursive=True) if "learner_of_tests" in " ".join(p.cmdline())
    ]
