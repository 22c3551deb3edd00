"""The ids of all strategies, found by reading this folder's source: without importing torch."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from dasr.errors import UserError, nearest

FILE = ".py:"  # in path/to/file.py:Class


@functools.cache
def strategy_ids() -> frozenset[str]:
    """What classes of this folder's modules have as `name`."""
    return frozenset(
        one for path in Path(__file__).parent.glob("*.py") for one in _names(path.read_text(encoding="utf-8"))
    )


def check_id(name: str) -> None:
    """Raise UserError with the nearest id if there is no such strategy (or file, in path/file.py:Class)."""
    known = strategy_ids()
    if FILE in name:
        path = name.rpartition(":")[0]
        if not Path(path).is_file():
            raise UserError(f"no strategy file {path}")
    elif name not in known:
        listed = f"known: {', '.join(sorted(known))}; or path/to/file.py:Class"
        raise UserError(f"no strategy '{name}'{nearest(name, known)} ({listed})")


def _names(source: str) -> Iterator[str]:
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.ClassDef):
            continue
        for inner in statement.body:
            match inner:
                case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(name))):
                    yield name
                case ast.AnnAssign(target=ast.Name(id="name"), value=ast.Constant(value=str(name))):
                    yield name
