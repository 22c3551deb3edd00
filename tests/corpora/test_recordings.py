"""The state of a shard's recordings changes with each of its files, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dasr.corpora import recordings
from dasr.corpora.recordings import state


@pytest.fixture(autouse=True)
def _each_look_is_a_new_process() -> None:
    recordings._state.cache_clear()


@pytest.fixture
def scp(tmp_path: Path) -> Path:
    """Two files, one of them with a blank in its name, a pipe and an object in an archive."""
    for name in ("a.wav", "b of c.wav"):
        (tmp_path / name).write_bytes(b"1234")
    table = tmp_path / "wav.scp"
    table.write_text(
        f"a {tmp_path}/a.wav\nb {tmp_path}/b of c.wav\n"
        f"piped touch {tmp_path}/ran |\nheld {tmp_path}/x.ark:7\n"
    )
    return table


def looked_again(scp: Path) -> str | None:
    recordings._state.cache_clear()
    return state(scp)


def replaced_at_the_same_time(audio: Path) -> None:
    """As by `cp --preserve=timestamps`."""
    about = audio.stat()
    audio.write_bytes(b"12345")
    os.utime(audio, ns=(about.st_atime_ns, about.st_mtime_ns))


def made_older(audio: Path) -> None:
    """As where a backup is put back."""
    os.utime(audio, (1.0, 1.0))


@pytest.mark.parametrize("name", ["a.wav", "b of c.wav"])
@pytest.mark.parametrize("change", [replaced_at_the_same_time, made_older, Path.unlink])
def test_another_size_another_time_or_no_file_is_another_state(
    scp: Path, name: str, change: Callable[[Path], None]
) -> None:
    before = state(scp)
    change(scp.parent / name)
    assert looked_again(scp) != before


def test_a_file_that_is_there_again_is_another_state(scp: Path) -> None:
    audio = scp.parent / "a.wav"
    audio.unlink()
    without = looked_again(scp)
    audio.write_bytes(b"1234")
    assert looked_again(scp) != without


def test_what_is_read_or_lies_beside_it_changes_nothing_and_no_pipe_is_run(scp: Path) -> None:
    before = state(scp)
    (scp.parent / "c.wav").write_bytes(b"other")
    (scp.parent / "a.wav").read_bytes()
    assert looked_again(scp) == before
    assert not (scp.parent / "ran").exists()


def test_where_no_table_is_there_is_no_state(tmp_path: Path) -> None:
    assert state(tmp_path / "wav.scp") is None


def test_a_table_that_was_written_again_is_read_again(scp: Path) -> None:
    before = state(scp)
    scp.write_text(f"a {scp.parent}/a.wav\n")
    os.utime(scp, (1.0, 1.0))
    assert state(scp) != before
