"""How a learner ends: its exit status, and what it tells the user."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.launch.membership import EXIT_MISTAKE, EXIT_PEER_LOST, EXIT_RAISED
from dasr.training import command, heldout
from dasr.worlds.interface import PeerLost


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("the loss is nan"), EXIT_MISTAKE),
        (OSError(errno.ENOSPC, "No space left on device", "f"), EXIT_MISTAKE),
        (PeerLost(3), EXIT_PEER_LOST),
        (ValueError("a fault of the program"), EXIT_RAISED),
    ],
)
def test_the_status_says_whether_starting_again_may_help(
    error: Exception, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    (tmp_path / "results" / "runs" / "r").mkdir(parents=True)
    assert command._tell(error, 0, "r", str(config)) == status
    assert ("dasr: error: " in capsys.readouterr().err) == (status == EXIT_MISTAKE)


def test_a_run_that_is_not_of_the_comparison_is_named_with_the_nearest(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"results: {tmp_path / 'results'}\n")
    error = CliRunner().invoke(command.evaluate, ["single-L1-B32-S1", "--config", str(config)]).exception
    assert isinstance(error, UserError) and "did you mean 'single-L1-B32-S0'" in str(error)


@pytest.mark.parametrize(("has_gpu", "device"), [(True, "cuda"), (False, "cpu")])
def test_a_run_is_evaluated_on_the_gpu_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_gpu: bool, device: str
) -> None:
    (tmp_path / "config.yaml").write_text("comparison: {strategies: [single], batch: [32]}\n")
    asked: list[object] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: has_gpu)
    monkeypatch.setattr(heldout, "of_split", lambda config, split, device: asked.append((split, device)))
    monkeypatch.setattr(
        heldout, "evaluate", lambda scorer, run_dir, seed, average: asked.append(run_dir.name)
    )
    arguments = ["single-L1-B32-S0", "--config", str(tmp_path / "config.yaml")]
    assert CliRunner().invoke(command.evaluate, arguments, catch_exceptions=False).exit_code == 0
    assert asked == [("dev", device), "single-L1-B32-S0"]
