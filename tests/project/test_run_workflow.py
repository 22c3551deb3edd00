"""`make run`: one workflow at a time in a folder, and no lock that outlives it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dasr.lock import exclusive_lock
from dasr.project.run_workflow import LOCK


def run(folder: Path, shell: str) -> subprocess.CompletedProcess[str]:
    (folder / "Snakefile").write_text(f"rule all:\n    shell: '{shell}'\n")
    command = [sys.executable, "-m", "dasr.project.run_workflow", "--cores", "1", "--nolock", "--quiet"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_while_one_runs_a_second_is_refused_in_one_line_and_afterwards_it_runs(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / LOCK, "", ""):
        second = run(tmp_path, "touch made")
    assert second.returncode == 2 and not (tmp_path / "made").exists()
    assert second.stderr.startswith("dasr: error: the workflow of this folder is already being run by ")
    assert second.stderr.count("\n") == 1
    assert run(tmp_path, "touch made").returncode == 0 and (tmp_path / "made").exists()


def test_a_workflow_that_fails_gives_snakemakes_exit_status(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 3").returncode == 1
