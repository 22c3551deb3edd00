"""MLflow's sqlite database: created completely, or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def make_whole(uri: str) -> None:
    """Make the database that `uri` names, where that is a sqlite file which is not there yet.

    MLflow creates its tables in dozens of steps and cannot continue with half of them. So they are created
    under another name first: a process that is killed meanwhile leaves nothing that stops the next one."""
    import mlflow

    path = sqlite_file(uri)
    if path is None or path.exists() or not path.parent.is_dir():
        return
    for left in path.parent.glob(f".{path.name}.new-*"):  # of one that was killed
        left.unlink()
    new = path.with_name(f".{path.name}.new-{uuid.uuid4().hex}")  # MLflow remembers what it has opened
    mlflow.MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
    os.replace(new, path)


def sqlite_file(uri: str) -> Path | None:
    """The file of `sqlite:///path`; None for a server, another database, or one in memory."""
    name = uri.removeprefix("sqlite:///")
    return None if name in (uri, "", ":memory:") or "?" in name else Path(name)
