"""What submitit runs: one supervisor a task. It starts this task's learner and reports on it.

Task 0's supervisor also runs the coordinator. No torch here except for the store that the coordinator hosts:
a supervisor costs little memory, none of them can hang in a collective, and none outlives its job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psutil
import submitit

from dasr import log
from dasr.errors import UserError
from dasr.files import confine
from dasr.launch.child import Child
from dasr.launch.coordinator import Coordinator
from dasr.launch.environment import check_interface, learner_environment
from dasr.launch.failures import FaultPolicy
from dasr.launch.job_record import JobRecord, read_secret
from dasr.launch.membership import STOP_SIGNALS, Membership, generation_prefix
from dasr.launch.rendezvous import Message, connect
from dasr.worlds.process.authentication import derive

logger = logging.getLogger(__name__)


_RANK = "SUBMITIT_LOCAL_GLOBALID"  # in the environment of a task of submitit's local executor


class JobFailed(Exception):
    """The reason why a job ended, raised in task 0 so that the cluster and submitit see a failure."""


class Leave(Exception):
    """This supervisor has lost its coordinator or its parent: it kills its learner and goes."""


@dataclass(frozen=True)
class SupervisorJob:
    """The function that submitit pickles, the same for all tasks. `command`: what a learner's Python gets."""

    run_folder: Path
    command: tuple[str, ...]
    token: str
    policy: FaultPolicy
    cpus_per_task: int
    gpus_per_task: int
    visible_devices: str | None = (
        None  # CUDA_VISIBLE_DEVICES of the dispatcher, which submitit overwrites locally; None: not set
    )

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Submitted again as it is: what has to be kept is in the learners' checkpoints."""
        return submitit.helpers.DelayedSubmission(self)

    def __call__(self) -> str:
        log.configure()
        confine(self.run_folder)
        job = submitit.JobEnvironment()
        if job.cluster == "local" and os.getpgrp() != os.getpid():
            os.setpgid(0, 0)  # Ctrl-Z stops the head in its terminal, not the job
        requeue = signal.getsignal(signal.SIGUSR2)  # submitit's: writes the pickle again, then requeues
        record = JobRecord.read(self.run_folder)
        if record is None or record.token != self.token:
            logger.info(f"{self.run_folder} belongs to another job: leaving")
            sys.exit(1)
        try:
            end = asyncio.run(Supervisor(self, job).run())
        except Leave as why:
            sys.exit(str(why))
        if end["requeue"] and job.global_rank == 0:
            assert callable(requeue)
            requeue(signal.SIGUSR2, None)
        if end["state"] == "finished":
            return "finished"
        if end["state"] == "failed" and job.global_rank == 0:
            raise JobFailed(end["reason"])
        sys.exit(1)


def _wants_requeue(job: submitit.JobEnvironment, last_signal: str) -> bool:
    """Near its time limit or preempted, not cancelled. Locally SIGTERM always means cancel."""
    if job.cluster != "slurm":
        return last_signal == "SIGUSR2"
    from dasr.launch.slurm import job_state

    return job_state(job.job_id).running


class Supervisor:
    """One task of the job at work: a connection to the coordinator, and at times a learner."""

    def __init__(self, plan: SupervisorJob, job: Any):
        self._plan = plan
        self._job = job
        self._rank: int = job.global_rank
        self._restart = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        self._parent = os.getppid()
        self._secret = read_secret(plan.run_folder)
        self._child: Child | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def run(self) -> Message:
        """Serve until the coordinator says how the job ended: that message. Raises Leave."""
        loop = asyncio.get_running_loop()
        conducting = asyncio.create_task(self._coordinator().run()) if self._rank == 0 else None
        try:
            hello = {
                "rank": self._rank,
                "node": self._job.node,
                "host": _host(),
                "token": self._plan.token,
                "restart": self._restart,
            }
            connecting = asyncio.create_task(
                connect(self._plan.run_folder, hello, self._secret, self._plan.policy.startup_s)
            )
            watching = asyncio.create_task(self._watch_siblings())
            begun = {connecting, watching, *([conducting] if conducting else [])}
            await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                connecting.cancel()
                if conducting and conducting.done():
                    raise Leave(conducting.result().reason)
                watching.result()  # raises Leave
            self._connection, self._host = connecting.result()
            for number in STOP_SIGNALS:
                loop.add_signal_handler(number, self._signalled(number))
            beating = asyncio.create_task(self._send_heartbeats())
            obeying = asyncio.create_task(self._follow_orders())
            await asyncio.wait({beating, obeying, watching}, return_when=asyncio.FIRST_COMPLETED)
            for finished in (beating, obeying, watching):
                if finished.done():
                    finished.result()  # raises Leave
            beating.cancel()
            watching.cancel()
            return obeying.result()
        except (TimeoutError, UserError) as error:
            raise Leave(str(error)) from None
        finally:
            await self._kill()
            if conducting and not conducting.done():
                conducting.cancel()
            _ignore_signals(loop)  # we are leaving; a requeue must not be interrupted

    def _coordinator(self) -> Coordinator:
        return Coordinator(
            self._plan.run_folder,
            self._plan.token,
            self._secret,
            self._restart,
            self._job.num_tasks,
            self._job.num_nodes,
            self._plan.policy,
            partial(_wants_requeue, self._job),
        )

    def _signalled(self, number: signal.Signals) -> Callable[[], None]:
        def tell() -> None:
            self._connection.send(event="signal", name=number.name)

        return tell

    async def _send_heartbeats(self) -> NoReturn:
        """Signs of life, until the process that started us is gone."""
        while os.getppid() == self._parent:
            self._connection.send(beat=1)
            await asyncio.sleep(2.0)
        raise Leave("the process that started this task is gone: leaving")

    async def _watch_siblings(self) -> NoReturn:
        """Until the start: submitit's controller, unlike srun, does not end the others when a task is lost,
        and they would wait for it as long as a start may take."""
        size = self._job.num_tasks if _RANK in os.environ else 0
        before: set[int] = set()
        while self._child is None:
            await asyncio.sleep(2.0)
            lost = set(range(size)) - await asyncio.to_thread(_ranks_below, self._parent)
            if both := lost & before:  # not one that is just being started
                raise Leave(f"the supervisor of learner {min(both)} was lost before the start")
            before = lost
        await asyncio.Event().wait()
        raise AssertionError

    async def _follow_orders(self) -> Message:
        while True:
            order = await self._connection.receive(self._plan.policy.silence_s)
            if order is None:
                raise Leave("the coordinator is lost: leaving")
            if order["do"] == "start":
                await self._start(order)
            elif order["do"] == "kill" and self._child:
                self._child.kill()
            elif order["do"] == "abort" and self._child:
                await self._child.abort()
            elif order["do"] == "end":
                return order

    async def _start(self, order: Message) -> None:
        await self._kill()
        check_interface()
        size = self._job.num_tasks
        membership = Membership(
            rank=self._rank,
            size=size,
            local_rank=self._job.local_rank,
            nodes=tuple(order["nodes"]),
            address=(self._host, order["port"]),
            generation=order["generation"],
            replacement=order["replacement"],
            secret=derive(self._secret, generation_prefix(order["generation"])),
            startup_s=self._plan.policy.startup_s,
        )
        environment = learner_environment(
            membership,
            interface_address=self._connection.local_address,
            cpus=self._plan.cpus_per_task,
            gpus=self._plan.gpus_per_task,
            restore_devices=self._job.cluster == "local",
            visible_devices=self._plan.visible_devices,
        )
        log = self._plan.run_folder / "logs" / f"{self._rank}.log"
        title = f"learner {self._rank} of {size} on {_host()}, job {self._job.job_id}"
        self._child = await Child.start((sys.executable, *self._plan.command), environment, log, title)
        self._watcher = asyncio.create_task(self._report(self._child, order["incarnation"]))

    async def _report(self, child: Child, incarnation: int) -> None:
        code = await child.wait()
        tail = child.tail() if code else ""
        self._connection.send(event="exited", incarnation=incarnation, code=code, tail=tail)

    async def _kill(self) -> None:
        """Kill the learner, wait until it is gone (10 s at most: the kernel may hold a process)."""
        if self._child and self._watcher:
            self._child.kill()
            await asyncio.wait({self._watcher}, timeout=10)


def _ranks_below(controller: int) -> set[int]:
    """Ranks of the tasks that submitit's controller has started and that still run."""
    found = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        for task in psutil.Process(controller).children():
            with contextlib.suppress(psutil.Error, KeyError):
                found.add(int(task.environ()[_RANK]))
    return found


def _ignore_signals(loop: asyncio.AbstractEventLoop) -> None:
    """From now on. The loop, when it is closed, gives signals that it handles back their default: they are
    taken from it first, and wait meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for number in STOP_SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _host() -> str:
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()
