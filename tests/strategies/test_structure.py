"""Strategies open with their recursion, and leave communication to their world.

Which modules they may import is a contract of import-linter (pyproject.toml)."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from dasr.strategies import registry
from dasr.strategies.internals import LearnerInternals
from dasr.strategies.learner import Learner

FILES = sorted({Path(inspect.getfile(registry.find(name))) for name in registry.names()})
FOLDER = Path(registry.__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_no_strategy_names_torch_distributed(path: Path) -> None:
    assert "torch.distributed" not in path.read_text()


def members(protocol: type) -> set[str]:
    """Public methods, properties and annotated attributes that a protocol adds to its bases."""
    return {name for name in {*vars(protocol), *vars(protocol)["__annotations__"]} if name[0] != "_"}


def used_of_a_learner(path: Path) -> set[str]:
    """Attributes that a file asks of its learner."""
    attributes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    owners = {"learner", "self.learner"}
    return {node.attr for node in attributes if ast.unparse(node.value) in owners}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_strategies_use_no_internals_of_a_learner(path: Path) -> None:
    assert used_of_a_learner(path) <= members(Learner)


def test_every_member_of_a_learner_is_used_by_some_strategy_or_part() -> None:
    used = {
        node.attr
        for path in FOLDER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert members(Learner) | members(LearnerInternals) <= used


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_strategy_file_opens_with_its_recursion_and_its_source(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text is not None
    recursion = [line for line in text.splitlines() if line.startswith("    ")]
    assert 1 <= len(recursion) <= 7
    assert "19" in text or "20" in text  # a year
