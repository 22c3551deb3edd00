"""A sandbox cluster for these tests, and a small comparison that was run on it by the literal command."""

import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.slurm.cluster import CannotRun, Cluster
from tests.support.slurm.soak import SMALL

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    sandbox = Cluster(Path(tempfile.mkdtemp(prefix="dasr-slurm-")) / "c")
    try:
        sandbox.up()
    except CannotRun as why:
        warnings.warn(f"THE SLURM TESTS ARE SKIPPED: {why}", stacklevel=1)
        pytest.skip(f"no sandbox cluster: {why}")
    yield sandbox
    sandbox.down()
    sandbox.folder.parent.rmdir()


@pytest.fixture(scope="session")
def clone(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of this repository as it is now, in which `snakemake --profile slurm` has run."""
    folder = tmp_path_factory.mktemp("clone") / "dasr"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    ).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, folder / name, follow_symlinks=False)
    (folder / "config.yaml").write_text(SMALL)
    (folder / "head.log").write_text(snakemake(cluster, folder))
    return folder


def environment(cluster: Cluster, folder: Path) -> dict[str, str]:
    """What a user who works in a clone has, with this Python first in PATH."""
    return {
        **cluster.environment,
        "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}",
        "PYTHONPATH": str(folder),
        "XDG_CACHE_HOME": str(folder / ".cache"),
    }


def snakemake(cluster: Cluster, folder: Path, *arguments: str) -> str:
    """`snakemake --profile slurm` in a clone; what it said."""
    command = ["snakemake", "--profile", "slurm", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(cluster, folder), capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:] + os.linesep
    return done.stdout + done.stderr
