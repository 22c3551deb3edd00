"""Where a run's learners are put: options of `dasr train`, given by the rule's resources and the profile."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass

from dasr.errors import UserError


@dataclass(frozen=True)
class Layout:
    nodes: int
    tasks_per_node: int


@dataclass(frozen=True)
class Resources:
    """None leaves a choice to us or to the cluster's defaults. Not part of a run's identity."""

    executor: str = "local"  # local: processes on this machine; slurm: one job
    nodes: int | None = None  # default: as few as tasks_per_node allows
    tasks_per_node: int | None = None  # learners a node, at most; default: all on one node
    cpus_per_task: int | None = None  # default: local: this machine's cores shared out; slurm: 1
    gpus_per_task: int | None = None  # default: local: 1 if every learner can have one; slurm: 0
    mem_mb: int | None = None  # a node
    runtime: int | None = None  # minutes, then saved and requeued; default: local: 30 days; slurm: 1 day
    slurm_partition: str | None = None
    slurm_account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    slurm_extra: str | None = None  # further options of sbatch, as on its command line
    python: str | None = None  # how a node starts Python; default: the one that runs this

    def layout(self, learners: int) -> Layout:
        """Equally many learners on each node. Raises UserError when that is impossible."""
        if self.executor == "local":
            if (self.nodes or 1) > 1:
                raise UserError(
                    f"the local executor has one node, but {self.nodes} are asked for: use --executor slurm"
                )
            return Layout(1, learners)
        most = min(self.tasks_per_node or learners, learners)
        if self.nodes:
            if learners % self.nodes or learners // self.nodes > most:
                raise UserError(
                    f"{learners} learners cannot be put equally on {self.nodes} nodes, {most} at most: "
                    "leave --nodes out, or change --tasks-per-node"
                )
            return Layout(self.nodes, learners // self.nodes)
        a_node = max(number for number in range(1, most + 1) if learners % number == 0)
        return Layout(learners // a_node, a_node)

    def cpus(self, layout: Layout) -> int:
        """Of each learner."""
        if self.cpus_per_task:
            return self.cpus_per_task
        return (
            max(1, len(os.sched_getaffinity(0)) // layout.tasks_per_node) if self.executor == "local" else 1
        )

    def gpus(self, layout: Layout) -> int:
        """Of each learner; 0: the CPU."""
        if self.gpus_per_task is not None:
            return self.gpus_per_task
        return int(self.executor == "local" and layout.tasks_per_node <= visible_gpus())

    def minutes(self) -> int:
        return self.runtime or (30 * 24 * 60 if self.executor == "local" else 24 * 60)

    def sbatch_options(self) -> dict[str, str | bool]:
        """`slurm_extra` taken apart. Raises UserError for what is not an option."""
        options: dict[str, str | bool] = {}
        for word in shlex.split(self.slurm_extra or ""):
            name, _, value = word.partition("=")
            if not name.startswith("--"):
                raise UserError(f"slurm_extra: '{word}' is not an option of the form --name or --name=value")
            options[name[2:]] = value or True
        return options


def visible_gpus() -> int:
    """GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([device for device in visible.split(",") if device.strip() not in ("", "-1")])
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return (
        sum(line.startswith("GPU ") for line in listed.stdout.splitlines()) if listed.returncode == 0 else 0
    )
