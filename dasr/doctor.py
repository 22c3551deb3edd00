"""`dasr doctor`: what this machine can do, and what is missing for which stage."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

OK, MISSING, NOTE = "ok", "missing", "note"

# The distributions that each group of stages imports.
PACKAGES = {
    "every stage": ("torch", "numpy", "click", "PyYAML", "pydantic", "filelock", "zarr", "tqdm"),
    "corpus, features": ("torchaudio", "soundfile", "kaldiio"),
    "hmm, align, graph": ("kaldi-hmm-gmm", "kaldifst"),
    "train": ("submitit", "safetensors"),
    "decode, score": ("kaldi-decoder", "kaldialign"),
    "track, report": ("mlflow", "matplotlib"),
    "the DAG": ("snakemake", "snakemake-executor-plugin-slurm"),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what, what was found, which stages want it, what to do where it lacks."""

    what: str
    found: str
    stages: str
    status: str = OK
    remedy: str = ""


def examine(results: Path) -> Iterator[Finding]:
    """Look at Python, packages, processors, GPUs, Slurm and the disk that holds `results`."""
    version = ".".join(map(str, sys.version_info[:3]))
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding("Python", version, "every stage", OK if supported else MISSING, "use Python 3.11 to 3.13")
    for stages, names in PACKAGES.items():
        for name in names:
            yield _package(name, stages)
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Finding("processors", f"{cores} cores, {memory:.0f} GiB memory", "every stage")
    yield from _torch()
    yield from _slurm()
    yield from _disk(results)
    yield from _network()


def _package(name: str, stages: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name), stages)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "not installed", stages, MISSING, f"pip install {name}, or `make run`")


def _torch() -> Iterator[Finding]:
    try:
        import torch
        import torch.distributed as dist
    except (ImportError, OSError) as error:
        yield Finding(
            "torch", f"does not import: {error}", "every stage", MISSING, "reinstall torch and torchaudio"
        )
        return
    gloo = dist.is_available() and dist.is_gloo_available()
    yield Finding(
        "gloo", "yes" if gloo else "no", "train", OK if gloo else MISSING, "use a torch built with gloo"
    )
    if not torch.cuda.is_available():
        yield Finding("GPUs", "none", "train", NOTE, "training runs on the CPU (presets demo and an4)")
        return
    names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
    yield Finding(
        "GPUs",
        f"{torch.cuda.device_count()} x {', '.join(sorted(names))}, CUDA {torch.version.cuda}",
        "train",
    )
    nccl = dist.is_nccl_available()
    found = ".".join(map(str, torch.cuda.nccl.version())) if nccl else "no"  # type: ignore[no-untyped-call]
    yield Finding(
        "NCCL", found, "train on several GPUs", OK if nccl else MISSING, "use a torch built with NCCL"
    )


def _slurm() -> Iterator[Finding]:
    absent = [
        command for command in ("sbatch", "srun", "squeue", "sacct", "scancel") if not shutil.which(command)
    ]
    if absent:
        yield Finding("Slurm", f"no {', '.join(absent)}", "--profile slurm", NOTE, "use --profile local here")
        return
    try:
        nodes = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%N %t"], capture_output=True, text=True, timeout=20
        )
        accounts = subprocess.run(["sacct", "-n", "-X"], capture_output=True, text=True, timeout=20)
    except subprocess.TimeoutExpired:
        yield Finding(
            "Slurm", "the controller does not answer", "--profile slurm", NOTE, "see `scontrol ping`"
        )
        return
    if nodes.returncode:
        why = (nodes.stderr.strip().splitlines() or ["no answer"])[-1]
        yield Finding("Slurm", why, "--profile slurm", NOTE, "see `scontrol ping`, or try `make slurm-up`")
        return
    yield Finding("Slurm", f"{len(set(nodes.stdout.splitlines()))} nodes", "--profile slurm")
    status = MISSING if accounts.returncode else OK
    found = "no" if accounts.returncode else "yes"
    yield Finding("accounting", found, "--profile slurm", status, "without sacct a dead job is never noticed")


def _disk(results: Path) -> Iterator[Finding]:
    place = results.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 2**30
    status = OK if free >= 2 else MISSING
    yield Finding(
        "disk", f"{free:.1f} GiB free at {place}", "every stage", status, "2 GiB are needed for AN4"
    )
    writable = os.access(place, os.W_OK)
    found = "writable" if writable else "not writable"
    yield Finding(
        "results", found, "every stage", OK if writable else MISSING, f"chmod or choose another than {place}"
    )
    limit = os.sysconf("SC_OPEN_MAX")
    status = OK if limit >= 1024 else MISSING
    yield Finding("open files", f"at most {limit}", "train", status, "ulimit -n 4096")


def _network() -> Iterator[Finding]:
    chosen = {
        name: os.environ[name] for name in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME") if name in os.environ
    }
    interfaces = (
        sorted(path.name for path in Path("/sys/class/net").glob("*"))
        if Path("/sys/class/net").is_dir()
        else []
    )
    for name, interface in chosen.items():
        known = interface.lstrip("^=").split(",")[0]
        status = OK if any(found.startswith(known) for found in interfaces) else MISSING
        yield Finding(
            name, interface, "train on several nodes", status, f"interfaces here: {' '.join(interfaces)}"
        )
    infiniband = Path("/sys/class/infiniband")
    cards = sorted(path.name for path in infiniband.glob("*")) if infiniband.is_dir() else []
    yield Finding(
        "network",
        f"{' '.join(interfaces)}; InfiniBand: {' '.join(cards) or 'none'}",
        "train on several nodes",
    )


@click.command()
@click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), help="Folder for results."
)
def doctor(results: Path) -> None:
    """Say what this machine can do, and what is missing for which stage.

    Exits with status 1 where something is missing that a stage needs.
    """
    findings = list(examine(results))
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        line = f"{finding.status:8}{finding.what:{width + 2}}{finding.found}"
        if finding.status != OK:
            line += f"  (for {finding.stages}: {finding.remedy})"
        click.echo(line)
    missing = [finding for finding in findings if finding.status == MISSING]
    if missing:
        click.echo(f"missing: {', '.join(finding.what for finding in missing)}")
        sys.exit(1)
    click.echo("everything that the local profile needs is here")
