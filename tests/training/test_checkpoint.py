"""Checkpoints on disk: whole or absent, the last two, from this configuration."""

import resource
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dasr import files
from dasr.errors import UserError
from dasr.training.checkpoint import Checkpoints, mean_of_others

IDENTITY = {"training.learning_rate": 0.1, "run": "sd-L4"}
WEIGHTS = torch.arange(1000.0)
STATE = {"weights": WEIGHTS, "nested": {"steps": 3, 5: [None, "text"]}, "seconds": 1.5}


def test_a_state_comes_back_as_it_was_and_the_last_two_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, rank=1, identity=IDENTITY)
    for step in (10, 20, 30):
        checkpoints.write(step, STATE)
    assert checkpoints.steps() == checkpoints.sound_steps() == [30, 20]
    back = checkpoints.load(30)
    assert torch.equal(back["weights"], WEIGHTS)
    assert {key: back[key] for key in ("nested", "seconds")} == {"nested": STATE["nested"], "seconds": 1.5}
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-7], lambda b: b[:900] + bytes([b[900] ^ 1]) + b[901:], lambda b: b""]
)
def test_a_corrupt_newest_checkpoint_falls_back_to_the_one_before_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    checkpoints = Checkpoints(tmp_path, 0, IDENTITY)
    checkpoints.write(10, STATE)
    checkpoints.write(20, STATE)
    (newest,) = tmp_path.rglob("*20.ckpt")
    newest.write_bytes(damage(newest.read_bytes()))
    assert checkpoints.sound_steps() == [10]
    assert "000000020.ckpt is corrupt: falling back" in caplog.text


def test_a_checkpoint_of_another_identity_is_refused_naming_the_option(tmp_path: Path) -> None:
    Checkpoints(tmp_path, 0, IDENTITY).write(1, STATE)
    other = Checkpoints(tmp_path, 0, {**IDENTITY, "training.learning_rate": 0.2})
    with pytest.raises(UserError, match=r"other data or options: training\.learning_rate was 0\.1, is 0\.2;"):
        other.load(1)


def test_a_full_disk_stops_with_one_line_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, 0, IDENTITY)
    checkpoints.write(10, STATE)
    code = f"""
        import pathlib, resource, torch
        from dasr.errors import UserError
        from dasr.training.checkpoint import Checkpoints, mean_of_others
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, {resource.RLIM_INFINITY}))
        try:
            Checkpoints(pathlib.{tmp_path!r}, 0, {IDENTITY!r}).write(20, {{"weights": torch.zeros(100_000)}})
        except UserError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "cannot write a checkpoint" in done.stdout and "of step 10, is kept" in done.stdout
    assert checkpoints.sound_steps() == [10]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write a checkpoint into .*there is none yet"):
        Checkpoints(tmp_path, 0, IDENTITY).write(1, STATE)


def test_a_replacement_begins_at_the_mean_of_what_the_others_saved_last(tmp_path: Path) -> None:
    checkpoints = [Checkpoints(tmp_path, rank, IDENTITY) for rank in range(4)]
    assert mean_of_others(checkpoints[2], 4) is None
    for rank, value in ((0, 1.0), (1, 4.0), (2, 100.0)):
        checkpoints[rank].write(10, {"learner": {"weights": torch.full((3,), -7.0)}})
        checkpoints[rank].write(20, {"learner": {"weights": torch.full((3,), value)}})
    mean = mean_of_others(checkpoints[2], 4)
    assert mean is not None and mean.tolist() == [2.5, 2.5, 2.5]


def test_checkpoints_are_neither_written_nor_removed_through_a_link_out_of_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_confined", set())
    theirs = Checkpoints(tmp_path / "outside", 0, IDENTITY)
    for step in (10, 20):
        theirs.write(step, STATE)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "checkpoints").symlink_to(tmp_path / "outside" / "checkpoints")
    files.confine(tmp_path / "results")
    with pytest.raises(UserError, match=r"results/checkpoints is a link that leads out"):
        Checkpoints(tmp_path / "results", 0, IDENTITY).write(30, STATE)
    assert theirs.sound_steps() == [20, 10]
