"""`dasr train` as a user sees it whose strategy is at fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import aligned_corpus

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

# Only in a learner's process: `dasr train` rehearses the strategy first, and would find what is wrong there.
MINE = '''
import os
from dasr.strategies.base import Strategy

class Mine(Strategy):
    """Means at every step, until something goes wrong."""
    name = "mine"

    async def step(self):
        await self.learner.step()
        if self.learner.steps == 3 and "RANK" in os.environ:
            await self.trouble()
        self.learner.assign(await self.world.all_reduce(self.learner.copy()))

    async def trouble(self):
        TROUBLE
'''


def train(folder: Path, trouble: str, *options: str) -> tuple[int, str]:
    """Two learners of a strategy with that line in its third step: exit status, and what it said."""
    (folder / "mine.py").write_text(MINE.replace("TROUBLE", trouble))
    config = aligned_corpus.small_config(aligned_corpus.make(folder)).plain()
    config["comparison"]["strategies"] = ["mine.py:Mine"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run = next(iter(names(folder)))
    head = subprocess.run(
        [sys.executable, "-m", "dasr", "train", run, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return head.returncode, head.stdout + head.stderr


def names(folder: Path) -> list[str]:
    from dasr import config

    before = Path.cwd()
    os.chdir(folder)
    try:
        return [run.name for run in config.runs(config.load("config.yaml"))]
    finally:
        os.chdir(before)


def test_an_exception_that_comes_again_without_progress_ends_the_run_and_is_printed_once(
    tmp_path: Path,
) -> None:
    status, said = train(tmp_path, 'raise ValueError("boom on purpose")')
    lines = said.splitlines()
    assert status == 2, said
    assert said.count("all start again") == 1, "no third start"
    assert said.count('raise ValueError("boom on purpose")') == 1, said
    assert "Traceback" not in said
    told = next(i for i, line in enumerate(lines) if line.startswith("dasr: error:"))
    assert (
        "the same again, without progress" in lines[told]
        and "raised ValueError: boom on purpose at step 2" in lines[told]
    )
    assert lines[told + 1].strip().startswith("mine.py, line "), "the user's own frame is the first"
    assert len(lines) < 30, said
    whole = list(tmp_path.glob("results/runs/*/logs/*.traceback"))
    assert whole and "boom on purpose" in whole[0].read_text()


def test_a_hang_shows_where_every_learner_stands(tmp_path: Path) -> None:
    """One waits for a message that nobody sends; the other waits for it in a collective."""
    trouble = "self.world.rank == 1 and await self.world.receive(0, tag=9)"
    status, said = train(tmp_path, trouble, "--hang-seconds", "8")
    assert status == 2, said
    assert "hangs: in 'wait' at step 2" in said
    waits = [line for line in said.splitlines() if "'main': waits for" in line]
    assert len(waits) == 2, said
    assert "learner 0 " in waits[0] and "a collective of learners 0, 1, in mine.py, line 13" in waits[0]
    assert "learner 1 " in waits[1] and "a message (tag 9) from learner 0, in mine.py, line 16" in waits[1]
    assert "Thread 0x" not in said and len(said.splitlines()) < 30, said
