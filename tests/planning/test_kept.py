"""Kept simulations: found again by what they depend on, and never half written."""

from __future__ import annotations

from pathlib import Path

from dasr.planning import kept


def test_names_depend_on_every_text_and_on_where_it_ends() -> None:
    assert (
        len({kept.name_of("a", "b"), kept.name_of("ab"), kept.name_of("ab", ""), kept.name_of("b", "a")}) == 4
    )
    assert kept.name_of("a", "b") == kept.name_of("a", "b")


def test_what_is_missing_or_damaged_is_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.json"
    assert kept.read(path) is None
    kept.write(path, {"a": [1.5]})
    assert kept.read(path) == {"a": [1.5]}
    path.write_text('{"a": [1.')
    assert kept.read(path) is None


def test_the_text_of_a_strategy_given_by_its_file_counts(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("x = 1\n")
    assert kept.strategy_file(f"{file}:Own") == "x = 1\n" and kept.strategy_file("ad") == ""
    assert kept.code() == kept.code() != kept.code(("tasks",))
