"""Notebooks of examples/ run from their first cell to their last, and are kept without outputs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "examples").glob("*.ipynb"))


def code_of(notebook: Path) -> str:
    """All code cells, one after another."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code), "clear the outputs"
    return "\n\n".join("".join(cell["source"]) for cell in code)


def test_there_is_a_notebook() -> None:
    assert [path.name for path in NOTEBOOKS] == ["compare.ipynb"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs_and_what_it_says_it_writes_is_there(notebook: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code_of(notebook)], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "sc-allreduce" in done.stdout and "bmuf" in done.stdout
    assert (tmp_path / "speech.svg").is_file() and (tmp_path / "mlflow.db").is_file()
