"""MLflow's sqlite database: made completely or not at all, damaged, and moved."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.errors import UserError
from dasr.tracking.command import track
from dasr.tracking.database import sqlite_file, tell_where_artifacts_are
from dasr.tracking.store import Store, how_to_open
from tests.support import synthetic


def cut_off(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_half_made_database_is_made_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed just before it is renamed, or with half of its tables: neither is in the next one's way."""
    database = tmp_path / "runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("os.replace", cut_off)
        Store(dasr_config.load(made))
    (half,) = tmp_path.glob(".runs.db.new-*")
    assert not database.exists()
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    store = Store(dasr_config.load(made))
    assert store.experiment and database.exists() and not half.exists()
    assert store.find("dasr.run", "none") == []


def test_a_damaged_database_is_one_clear_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "runs.db"
    database.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    with pytest.raises(UserError, match=r"runs\.db is damaged .*: move it away"):
        Store(dasr_config.load(made))


def test_a_database_that_another_process_holds_is_not_called_damaged(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was damaged, and had to be moved away, would cost the user all that it holds."""
    database = tmp_path / "runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database}")
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("CREATE TABLE held (x)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match=r"runs\.db is in use by another process: wait for it"):
            Store(dasr_config.load(made))


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:5000", "sqlite://", "sqlite:///:memory:", "postgresql://u@h/db", "sqlite:///a?b=c"],
)
def test_only_a_sqlite_file_is_made_first(uri: str) -> None:
    assert sqlite_file(uri) is None


def test_results_that_were_moved_have_their_artifacts_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = synthetic.make(tmp_path / "here", strategies=["single"], seeds=[0])
    CliRunner().invoke(track, ["--config", str(path)], catch_exceptions=False)
    moved = tmp_path / "50% off, Tom's" / "elsewhere"
    moved.parent.mkdir()
    shutil.move(tmp_path / "here" / "results", moved)
    how_to_open(moved)  # what says the address
    text = path.read_text().replace(str(tmp_path / "here" / "results"), str(moved))
    path.write_text(text)
    store = Store(dasr_config.load(path))
    (run,) = store.find("dasr.run", "single-L1-B32-S0")
    kept = Path(store.client.download_artifacts(run.info.run_id, "metrics.jsonl", str(tmp_path)))
    assert kept.read_bytes() == (moved / "runs" / "single-L1-B32-S0" / "metrics.jsonl").read_bytes()
    assert store.client.get_experiment(store.experiment).artifact_location == (
        (moved / "mlflow" / "artifacts").as_uri()
    )


def test_a_database_of_the_users_own_keeps_its_places(tmp_path: Path) -> None:
    database = tmp_path / "theirs.db"
    database.write_bytes(b"not read")
    tell_where_artifacts_are(f"sqlite:///{database}", tmp_path / "results" / "mlflow" / "artifacts")
    assert database.read_bytes() == b"not read"
