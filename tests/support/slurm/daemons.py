"""Processes of the sandbox cluster, found again by another process."""

from __future__ import annotations

import contextlib

import psutil


def alive(known: list[tuple[int, float]]) -> list[psutil.Process]:
    """Those of `known` (process id, start time) that still live, in that order (ids are used again)."""
    found = []
    for pid, started in known:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def job_steps(slurm_conf: str) -> list[psutil.Process]:
    """The slurmstepd of the cluster with that configuration: they outlive their slurmd."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "slurmstepd" and process.environ().get("SLURM_CONF") == slurm_conf:
                found.append(process)
    return found
