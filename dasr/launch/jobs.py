"""A submitted job, on this machine or in Slurm: started through submitit, found again by its id."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import psutil
import submitit

from dasr.errors import UserError
from dasr.files import make_folder
from dasr.launch import slurm
from dasr.launch.job_record import JobRecord, write_secret
from dasr.launch.resources import Layout, Resources
from dasr.launch.slurm import JobState
from dasr.launch.supervisor import SupervisorJob

logger = logging.getLogger(__name__)

MOST_REQUEUES = 100  # of a job at its time limit


class Job(Protocol):
    poll_s: float  # how often its state may be asked for
    end_command: str  # by which a user ends it

    def state(self) -> JobState: ...

    def cancel(self, kill: bool = False) -> None:
        """Ask it to save and leave; with `kill` end it now."""
        ...


class SlurmJob:
    poll_s = 10.0

    def __init__(self, job_id: str, expected: slurm.Expected):
        self.job_id = job_id
        self.end_command = f"scancel {job_id}"
        self._expected = expected

    def state(self) -> JobState:
        return slurm.job_state(self.job_id, self._expected)

    def cancel(self, kill: bool = False) -> None:
        if not self.state().ended:  # that number may be another job's by now
            slurm.cancel(self.job_id, kill)


class LocalJob:
    """submitit's controller process, which starts the tasks and restarts them at a time limit."""

    poll_s = 0.5

    def __init__(self, job_id: str, started: float | None, folder: str):
        """`started`: the process' start time, since pids are used again; `folder`: submitit's, which must be
        in its command line."""
        self._pid = int(job_id)
        self.end_command = f"kill {job_id}"
        self._started = started
        self._folder = folder

    def state(self) -> JobState:
        return JobState("FAILED", "its process is gone") if self._process() is None else JobState("RUNNING")

    def cancel(self, kill: bool = False) -> None:
        process = self._process()
        if process is None:
            return
        if not kill:
            process.terminate()
            return
        family = [process, *process.children(recursive=True)]
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=10)

    def _process(self) -> psutil.Process | None:
        """The controller; None where it has ended or the number is another process'."""
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(self._pid)
            same = self._started is not None and abs(process.create_time() - self._started) < 1.0
            same = same and process.uids().real == os.getuid() and self._folder in process.cmdline()
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


def attach(record: JobRecord, run_folder: Path, name: str) -> Job | None:
    """The job of a record if it may still be there; if its submission was cut short, looked for by name.

    What the record says is not believed further: the folder may come from elsewhere."""
    if record.executor == "local":
        folder = str(submitit_folder(run_folder))
        return LocalJob(record.job_id, record.started, folder) if record.job_id else None
    job_id = record.job_id or slurm.find_job(name)
    return SlurmJob(job_id, slurm.Expected(name, record.submitted_at())) if job_id else None


def submitit_folder(run_folder: Path) -> Path:
    return run_folder / "submitit"


def submit(
    run_folder: Path, record: JobRecord, work: SupervisorJob, resources: Resources, layout: Layout
) -> Job:
    """Start the job and complete its record. Raises UserError when the cluster refuses it."""
    make_folder(Path(record.folder))
    write_secret(run_folder)
    record.write(run_folder)  # the intention first: a submission cut short is found by its name
    gpus = resources.gpus(layout) * layout.tasks_per_node
    try:
        if resources.executor == "slurm":
            executor = _slurm_executor(record, resources, layout, gpus)
            with _without_slurm_variables(_given_options(executor)):
                submitted = executor.submit(work)
        else:
            executor = submitit.LocalExecutor(folder=record.folder, max_num_timeout=MOST_REQUEUES)
            executor.update_parameters(
                timeout_min=resources.minutes(), tasks_per_node=layout.tasks_per_node, gpus_per_node=gpus
            )
            with _ignore_sigint():
                submitted = executor.submit(work)
    except submitit.core.utils.FailedJobError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UserError(f"Slurm refused the job: {lines[-1] if lines else 'sbatch failed'}") from None
    record.job_id = submitted.job_id
    if resources.executor == "slurm":
        record.write(run_folder)
        return SlurmJob(record.job_id, slurm.Expected(record.name, record.submitted_at()))
    with contextlib.suppress(psutil.NoSuchProcess):
        record.started = psutil.Process(int(record.job_id)).create_time()
    record.write(run_folder)
    job = LocalJob(record.job_id, record.started, record.folder)
    job.controller = submitted  # type: ignore[attr-defined]  # keeps its Popen, which reaps it
    return job


def _slurm_executor(
    record: JobRecord, resources: Resources, layout: Layout, gpus: int
) -> submitit.SlurmExecutor:
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise UserError("there is no Slurm here (sbatch and srun are not in PATH): use --executor local")
    executor = submitit.SlurmExecutor(
        folder=record.folder, max_num_timeout=MOST_REQUEUES, python=resources.python
    )
    minutes = resources.minutes()
    asked = {
        "job_name": record.name,
        "time": minutes,
        "nodes": layout.nodes,
        "ntasks_per_node": layout.tasks_per_node,
        "cpus_per_task": resources.cpus(layout),
        "gpus_per_node": gpus or None,
        "mem": f"{resources.mem_mb}MB" if resources.mem_mb else None,
        "partition": resources.slurm_partition,
        "account": resources.slurm_account,
        "qos": resources.qos,
        "constraint": resources.constraint,
        # so long before its time limit a job is told to save; Slurm may tell it up to a minute earlier
        "signal_delay_s": min(120, minutes * 60 // 3),
        # a supervisor that dies takes the job with it; learners may die under theirs
        "srun_args": ["--kill-on-bad-exit=1"],
        "additional_parameters": {"requeue": True, **resources.sbatch_options()},
    }
    executor.update_parameters(**{name: value for name, value in asked.items() if value is not None})
    return executor


# Variables by which a site or a user may set what is not given; sbatch would prefer them to what is.
_DEFAULTS = {
    "SBATCH_ACCOUNT": ("account",),
    "SBATCH_CONSTRAINT": ("constraint",),
    "SBATCH_MEM_PER_CPU": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "SBATCH_MEM_PER_GPU": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "SBATCH_MEM_PER_NODE": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "SBATCH_PARTITION": ("partition",),
    "SBATCH_QOS": ("qos",),
    "SBATCH_RESERVATION": ("reservation",),
}


def _given_options(executor: submitit.SlurmExecutor) -> set[str]:
    """Names of the options of sbatch that `executor` sets."""
    given = {**executor.parameters, **executor.parameters.get("additional_parameters", {})}
    return {name.replace("_", "-") for name, value in given.items() if value is not None}


@contextlib.contextmanager
def _without_slurm_variables(given: set[str]) -> Iterator[None]:
    """Without the variables of a job that this process runs in, and those by which sbatch, and srun in the
    job, would override the `given` options."""
    hidden = {}
    for name, value in os.environ.items():
        if name in _DEFAULTS and not given.intersection(_DEFAULTS[name]):
            logger.info(f"{name}={value} of the environment is used: that option is not given")
        elif name.startswith(("SLURM_", "SBATCH_", "SRUN_", "PMI_", "PMIX_")) and name != "SLURM_CONF":
            hidden[name] = value
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextlib.contextmanager
def _ignore_sigint() -> Iterator[None]:
    """Processes started here ignore Ctrl-C: the dispatcher hears it, and lets the job save first."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
