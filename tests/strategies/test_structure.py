"""Strategies open with their recursion, and know nothing of the world they run in."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from dasr.strategies import registry

FILES = sorted({Path(inspect.getfile(registry.find(name))) for name in registry.names()})
ALL = sorted(Path(registry.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_no_strategy_names_torch_distributed_or_asks_which_world_it_is_in(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"distributed", "SimulatedWorld", "ProcessWorld", "simulation", "transport"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module]
        elif isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        else:
            continue
        for module in modules:
            assert "distributed" not in module
            allowed = ("dasr.worlds.interface", "dasr.strategies", "dasr.errors")
            assert not module.startswith("dasr.") or module.startswith(allowed), module


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_strategy_file_opens_with_its_recursion_and_its_source(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text is not None
    recursion = [line for line in text.splitlines() if line.startswith("    ")]
    assert 1 <= len(recursion) <= 7
    assert "19" in text or "20" in text  # a year
