"""`dasr train`: one run, one job; restarted at any moment it finds its job again."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import click

from dasr import completion
from dasr import config as configuration
from dasr.errors import UserError
from dasr.results.layout import MODEL, Layout

logger = logging.getLogger(__name__)


@click.command(context_settings={"show_default": True})
@click.argument("run", shell_complete=completion.runs)
@click.option("--config", "config_path", default="config.yaml", help="The configuration.")
@click.option(
    "--executor", type=click.Choice(["local", "slurm"]), default="local", help="Processes here, or a job."
)
@click.option("--nodes", type=click.IntRange(1), help="Nodes. [default: as few as --tasks-per-node allows]")
@click.option("--tasks-per-node", type=click.IntRange(1), help="Learners a node, at most. [default: all]")
@click.option(
    "--cpus-per-task",
    type=click.IntRange(1),
    help="Cores of a learner. [default: local: shared out; slurm: 1]",
)
@click.option(
    "--gpus-per-task",
    type=click.IntRange(0),
    help="GPUs of a learner. [default: local: as there are; slurm: 0]",
)
@click.option("--mem-mb", type=click.IntRange(1), help="Memory of a node in MB.")
@click.option(
    "--runtime",
    type=click.IntRange(1),
    help="Minutes; then the job saves and is queued again. [default: slurm: 1 day]",
)
@click.option("--slurm-partition", help="Partition.")
@click.option("--slurm-account", help="Account.")
@click.option("--qos", help="Quality of service.")
@click.option("--constraint", help="Features that nodes must have.")
@click.option("--slurm-extra", help="Further options of sbatch: '--exclusive --reservation=x'.")
@click.option("--python", help="How a node starts Python: 'apptainer exec x.sif python'. [default: this one]")
@click.option(
    "--restarts", type=click.IntRange(0), default=3, help="Of all learners when one is lost (synchronous)."
)
@click.option("--replacements", type=click.IntRange(0), default=3, help="Of lost learners (asynchronous).")
@click.option(
    "--hang-seconds",
    type=click.FloatRange(5),
    default=180.0,
    help="A learner that stands still so long hangs; before its first step it may for 900.",
)
@click.option("--startup-seconds", type=click.FloatRange(1), default=300.0, help="For all tasks to report.")
def train(
    run: str,
    config_path: str,
    restarts: int,
    replacements: int,
    hang_seconds: float,
    startup_seconds: float,
    **given: Any,
) -> None:
    """Train RUN (a name such as sd-L4-B64-S0): submit its job, show its progress, wait for its end.

    Ctrl-C and SIGTERM let the job save and end it. After SIGKILL the job goes on, and the same command
    finds it."""
    from dasr.launch import identity
    from dasr.launch.failures import FaultPolicy
    from dasr.launch.resources import Resources
    from dasr.plugins import FILE
    from dasr.rehearsal.rehearse import require
    from dasr.strategies import registry

    config = configuration.load(config_path)
    wanted = configuration.find_run(config, run)
    resources = Resources(**{name: value for name, value in given.items() if value not in (None, "")})
    strategy = registry.find(wanted.strategy)
    if FILE in wanted.strategy:
        require(wanted.strategy, dict(wanted.options))
    policy = FaultPolicy(
        asynchronous=strategy.asynchronous,
        restarts=restarts,
        replacements=replacements if strategy.replaceable else 0,
        hang_s=hang_seconds,
        startup_s=startup_seconds,
    )
    command = ("-m", "dasr", "learner", run, "--config", str(Path(config_path).resolve()))
    folder = Layout(Path(config.results).resolve()).run(run)
    layout = resources.layout(wanted.learners)
    device = "cuda" if resources.gpus(layout) else "cpu"
    own = identity.of_run(config, wanted, identity.computed_by(device, resources.cpus(layout)))
    if identity.is_finished(folder, own):
        model = folder / MODEL
        click.echo(f"run {run} is finished: {model} (remove {folder} to train it again)", err=True)
        return
    dispatch(run, folder, wanted.learners, command, resources, policy, own)
    if not (folder / MODEL).exists():
        raise UserError(f"run {run} ended without a model in {folder}: see {folder}/logs/0.log")


def dispatch(
    run: str,
    folder: Path,
    learners: int,
    command: tuple[str, ...],
    resources: Any,
    policy: Any,
    own: dict[str, Any],
) -> None:
    """Run Python with `command` as `learners` learners of one job, to its end; `own`: the run's identity.

    Raises UserError."""
    from dasr.files import check_links
    from dasr.launch import identity
    from dasr.launch.dispatcher import CancelRequest, Dispatcher, find_again
    from dasr.launch.environment import check_interface
    from dasr.launch.job_record import JobRecord
    from dasr.launch.jobs import submit, submitit_folder
    from dasr.launch.supervisor import SupervisorJob
    from dasr.lock import ProcessId, exclusive_lock

    layout = resources.layout(learners)
    if resources.executor == "local":
        check_interface()
    name = f"dasr-{run}"
    cancel = CancelRequest()
    cancel.catch()
    remedy = "wait for it, or end that process; its job goes on and is found again"
    with exclusive_lock(folder / "lock", "this run is already being dispatched", remedy):
        check_links(folder)
        if found := find_again(folder, name, cancel):
            record, job = found
            identity.check_job(folder, own, f"wait for its end, or `{job.end_command}`")
            logger.info(f"found job {record.job_id} of this run: watching it")
        else:
            identity.claim(folder, own)
            record = JobRecord(
                resources.executor,
                name,
                learners,
                str(submitit_folder(folder)),
                ProcessId.this_process(),
            )
            work = SupervisorJob(
                folder,
                command,
                record.token,
                policy,
                resources.cpus(layout),
                resources.gpus(layout),
                os.environ.get("CUDA_VISIBLE_DEVICES"),
            )
            job = submit(folder, record, work, resources, layout)
            where = f"{layout.nodes} node(s), {resources.executor} job {record.job_id}"
            logger.info(f"{run}: {learners} learner(s) on {where}")
        Dispatcher(run, folder, record, job, cancel).watch()
