"""A whole comparison on a small part of AN4, made once and shared by the tests that look at it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

SMALL: dict[str, dict[str, object]] = {
    "corpus": {"limit": 80, "dev_speakers": 2, "max_bad_fraction": 0.3},
    "features": {"shards": {"train": 2}},
    "hmm": {"leaves": 60, "gaussians": 200, "monophone_iterations": 5, "triphone_iterations": 3},
    "model": {"preset": "demo", "layers": 1, "cells": 32},
    "training": {"epochs": 1, "snapshots": 2},
    "comparison": {"name": "small", "strategies": ["single", "sc-allreduce", "ad"], "learners": [2]},
    "decoding": {"acoustic_scales": [0.1], "diverged": True},  # so little training may be worse than none
    "simulation": {"max_learners": 16},
}


class Project:
    """A working folder of one's own, run by the repository's Snakefile."""

    def __init__(self, folder: Path):
        self.folder = folder

    def command(self, *arguments: str) -> list[str]:
        profile = str(REPOSITORY / "profiles" / "local")
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        return [*snakemake, "--profile", profile, *arguments]

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / ".cache")}
        run = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        if check and run.returncode:
            raise AssertionError(
                f"snakemake {' '.join(arguments)} failed:\n{run.stdout[-3000:]}\n{run.stderr[-6000:]}"
            )
        return run

    def planned(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule a dry run would do."""
        output = self.snakemake("--dry-run", "--quiet", "host", *arguments).stdout
        if "Job stats:" not in output:
            return {}
        rows = output.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
        return {row.split()[0]: int(row.split()[1]) for row in rows if row.strip()}

    def configure(self, **changes: dict[str, object]) -> None:
        merged = {
            section: {**SMALL.get(section, {}), **changes.get(section, {})} for section in {*SMALL, *changes}
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(merged))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small comparison, complete."""
    project = Project(tmp_path_factory.mktemp("project"))
    shutil.copytree(REPOSITORY / "corpora", project.folder / "corpora")
    project.configure()
    project.snakemake()
    return project
