"""The user's lines come first, then where they led."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from dasr import frames
from dasr.worlds.simulated.simulation import Simulation

MINE = """
import json

def outer():
    return inner()

def inner():
    return json.loads("{")
"""


def raised(path: Path) -> BaseException:
    """What `outer` of the module at `path` raises."""
    with pytest.raises(Exception) as error:
        runpy.run_path(str(path))["outer"]()
    return error.value


def test_the_users_own_frame_is_first_and_the_line_that_raised_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    lines = frames.that_matter(frames.of_exception(raised(tmp_path / "mine.py")))
    assert lines[0] == 'mine.py, line 8, in inner: return json.loads("{")'
    assert lines[1] == "mine.py, line 5, in outer: return inner()"
    assert lines[-1].startswith("json/decoder.py, line ") and "in raw_decode" in lines[-1]
    assert len(lines) <= frames.MOST_OWN + frames.MOST_BELOW


def test_without_code_of_the_users_the_packages_frames_take_their_place() -> None:
    with pytest.raises(Exception) as error:
        Simulation("no-such-cluster", 2)  # type: ignore[arg-type]
    stack = [frame for frame in frames.of_exception(error.value) if frames.is_dasr(frame)]
    assert stack and frames.that_matter(stack)[0].startswith("dasr/worlds/simulated/")
