"""Every stage is killed once with SIGKILL at a random moment; the next run completes with the same table."""

import contextlib
import csv
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import REPOSITORY, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
STAGES = "corpus features hmm align lm graph adapt train evaluate decode score compare report track"


def test_any_stage_killed_then_run_again_gives_the_same_table(finished: Project, tmp_path: Path) -> None:
    project = Project(tmp_path)
    shutil.copytree(REPOSITORY / "corpora", tmp_path / "corpora")
    project.configure()
    moments = random.Random(int.from_bytes(os.urandom(4)))
    killed = {stage: kill_during(project, stage, moments.uniform(0, 3)) for stage in STAGES.split()}
    project.snakemake("--nolock")
    assert deterministic(project) == deterministic(finished), f"killed after these seconds: {killed}"
    assert project.planned("--nolock") == {}


def kill_during(project: Project, stage: str, after_s: float) -> float:
    """Start the workflow, wait for `dasr stage`, kill everything `after_s` seconds into it."""
    head = subprocess.Popen(
        project.command("--nolock", "--forcerun", stage),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while head.poll() is None and not running(head.pid, stage):
        time.sleep(0.05)
    assert head.poll() is None, f"the workflow ended (status {head.returncode}) and never ran {stage}"
    time.sleep(after_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(head.pid, signal.SIGKILL)
    head.wait()
    return after_s


def running(session: int, stage: str) -> bool:
    """Whether a process of that session is `dasr stage`."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            words = (status.parent / "cmdline").read_text().split("\0")
            ours = os.getsid(int(status.parent.name)) == session
            if ours and any(w.endswith("/dasr") and words[i + 1] == stage for i, w in enumerate(words[:-1])):
                return True
    return False


def deterministic(project: Project) -> list[dict[str, str]]:
    """The columns and rows that neither clocks nor the order of arrival change."""
    with open(project.folder / "results" / "comparison.tsv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    kept = ("strategy", "learners", "batch", "seed", "samples", "heldout_ce", "wer_unigram", "wer_ngram")
    return [{key: row[key] for key in kept if row["strategy"] != "ad" or key in kept[:5]} for row in rows]
