"""Results of simulations, kept in files that are named by a hash of everything that they depend on."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dasr
from dasr.files import write_json

SIMULATOR = (
    "strategies",
    "worlds",
    "planning",
    "learner",
)  # packages that a timing-only simulation depends on


def read(path: Path) -> dict[str, Any] | None:
    """None where it is not there, or damaged: then it is simulated again."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, record: dict[str, Any]) -> None:
    """Atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)


@functools.cache
def code(packages: Sequence[str] = SIMULATOR) -> str:
    """A hash of the text of those packages."""
    root = Path(dasr.__file__).parent
    files = sorted(path for package in packages for path in (root / package).rglob("*.py"))
    return name_of(*(path.read_text("utf-8") for path in files))


def strategy_file(strategy: str) -> str:
    """The text of a strategy that is given by `path/to/file.py:Class`."""
    path = Path(strategy.rpartition(":")[0])
    return path.read_text("utf-8") if ".py:" in strategy and path.is_file() else ""


def name_of(*texts: str) -> str:
    """A name for what depends on these texts."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    return digest.hexdigest()[:32]
