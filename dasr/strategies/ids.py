"""The ids of all strategies, found by reading this folder's source: without importing torch."""

from __future__ import annotations

from pathlib import Path

from dasr import plugins


def strategy_ids() -> frozenset[str]:
    """What classes of this folder's modules have as `name`."""
    return plugins.names_in(Path(__file__).parent)


def check_id(name: str) -> None:
    """Raise UserError with the nearest id if there is no such strategy (or file, in path/file.py:Class)."""
    plugins.check_name("strategy", name, strategy_ids())
