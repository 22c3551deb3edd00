"""What a user can type from README and docs/: each block is run, or says beside it why it is not.

A block that is not run is followed by `<!-- not run: the reason -->`; one that must fail, by
`<!-- ends with an error: a part of the message -->`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dasr import config as dasr_config
from tests.docs import pages

SHELL, TYPED = ("bash", "console"), ("bash", "console", "python")
SMALL = {
    "corpus": {"limit": 80, "dev_speakers": 2, "max_bad_fraction": 0.3},
    "features": {"shards": {"train": 2}},
    "hmm": {"leaves": 60, "gaussians": 200, "monophone_iterations": 5, "triphone_iterations": 3},
    "model": {"preset": "demo", "layers": 1, "cells": 32},
    "training": {"epochs": 1, "snapshots": 2},
    "comparison": {"name": "small", "strategies": ["single", "ad"], "learners": [4], "batch": [32]},
    "decoding": {"acoustic_scales": [0.1], "diverged": True},  # so little training may be worse than none
    "simulation": {"max_learners": 16},
}
BLOCKS = [block for page in pages.written() for block in pages.blocks(page)]
RUN = [block for block in BLOCKS if block.language in SHELL and not block.why_not]


def shell(project: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a shell block as a user with the environment activated would, in `project`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(pages.REPOSITORY)}
    environment["XDG_CACHE_HOME"] = str(project / ".cache")
    command = ["bash", "-euo", "pipefail", "-c", text]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a clone in which `make run` has ended, with a small part of AN4."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("Snakefile", "workflow", "profiles", "local", "slurm", "corpora"):
        (folder / name).symlink_to(pages.REPOSITORY / name)
    (folder / "config.yaml").write_text(yaml.safe_dump(SMALL))
    run = shell(folder, "snakemake --profile local --quiet all")
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    return folder


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_names_its_language(block: pages.Block) -> None:
    assert block.language in (*TYPED, "yaml", "text"), f"{block.name} is in '{block.language}'"


def test_blocks_that_are_not_run_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    skipped = [block for block in BLOCKS if block.language in TYPED and block.why_not]
    with capsys.disabled():
        for block in skipped:
            print(f"\nnot run: {block.name}: {block.why_not}", end="")
    assert all(len(block.why_not.split()) >= 3 for block in skipped)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_a_shell_block_does_what_the_page_says(block: pages.Block, project: Path) -> None:
    run = shell(project, block.text)
    said = run.stdout[-2000:] + run.stderr[-4000:]
    if block.error:
        assert run.returncode != 0 and block.error in run.stderr, said
    else:
        assert run.returncode == 0, said


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.language == "python" and not block.why_not],
    ids=lambda block: block.name,
)
def test_a_python_block_can_be_executed(block: pages.Block) -> None:
    exec(compile(block.text, block.name, "exec"), {"__name__": "__example__"})


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "yaml"], ids=lambda block: block.name
)
def test_a_yaml_block_is_a_configuration_that_is_accepted(block: pages.Block) -> None:
    content = yaml.safe_load(block.text)
    if not set(content) <= {"set-resources", "set-threads", "default-resources"}:  # those of a profile
        dasr_config.complete(content, block.name)


def test_an_example_of_another_corpus_leaves_the_results_of_an4_alone() -> None:
    (block,) = [block for block in pages.blocks(pages.DOCS / "own-corpus.md") if block.language == "yaml"]
    results = yaml.safe_load(block.text)["results"]
    assert Path(results) != Path(dasr_config.load("config.yaml").results)
