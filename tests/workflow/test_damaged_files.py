"""A file that is damaged, of any kind that a stage reads, is one line that names it, and never a result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FLIPS = os.environ.get("DASR_FLIPS", "1")  # of each kind; 40 is the whole trial


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_damage_is_silent_or_ends_in_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.damage", "--flips", FLIPS, "--cuts", "1"]
    done = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
