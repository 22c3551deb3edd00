"""MLflow's sqlite database: created completely, or not at all; and moved with its files."""

from __future__ import annotations

import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from dasr.errors import UserError

# Table and column of each path that MLflow keeps.
PLACES = (("runs", "artifact_uri"), ("experiments", "artifact_location"))


def make_whole(uri: str) -> None:
    """Make the database that `uri` names, where that is a sqlite file which is not there yet.

    MLflow creates its tables in dozens of steps and cannot continue with half of them. So they are created
    under another name first: a process that is killed meanwhile leaves nothing that stops the next one."""
    import mlflow

    path = sqlite_file(uri)
    if path is None or not path.parent.is_dir():
        return
    if path.exists():
        _check(path)
        return
    for left in path.parent.glob(f".{path.name}.new-*"):  # of one that was killed
        left.unlink()
    new = path.with_name(f".{path.name}.new-{uuid.uuid4().hex}")  # MLflow remembers what it has opened
    mlflow.MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
    os.replace(new, path)


def tell_where_artifacts_are(uri: str, artifacts: Path) -> None:
    """Let the results' own database, which lies beside `artifacts`, name that folder.

    MLflow keeps absolute paths: those of another place, where the results have been moved or copied."""
    path = sqlite_file(uri)
    if path is None or path.parent != artifacts.parent or path.is_symlink() or not path.is_file():
        return
    here = artifacts.as_uri()
    try:
        with closing(sqlite3.connect(path, timeout=60)) as database, database:
            for (there,) in database.execute("SELECT artifact_location FROM experiments").fetchall():
                if there != here and there.startswith("file:") and there.endswith("/mlflow/artifacts"):
                    _replace(database, there, here)
    except sqlite3.Error:
        return  # damaged, or without tables: MLflow says so when it opens it


def _replace(database: sqlite3.Connection, there: str, here: str) -> None:
    length = len(there)
    for table, column in PLACES:
        moved = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
        database.execute(moved, (here, length + 1, length, there))


def _check(path: Path) -> None:
    """Raise UserError where sqlite finds that the file is damaged: MLflow would stumble later, or not."""
    with closing(sqlite3.connect(path)) as database:
        try:
            ((found, *_),) = database.execute("PRAGMA integrity_check(1)").fetchall()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                raise UserError(f"{path} is in use by another process: wait for it, or end it") from None
            found = str(error)
    if found != "ok":
        why = " ".join(found.split())[:120]
        raise UserError(f"{path} is damaged ({why}): move it away, then `dasr track` makes it again")


def sqlite_file(uri: str) -> Path | None:
    """The file of `sqlite:///path`; None for a server, another database, or one in memory."""
    name = uri.removeprefix("sqlite:///")
    return None if name in (uri, "", ":memory:") or "?" in name else Path(name)
