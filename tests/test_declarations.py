"""Options are read from the source of classes, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasr.declarations import Declarations
from dasr.errors import UserError
from dasr.plugins import check_options

FOLDER = """
from typing import Annotated, Literal
from dasr.plugins import AtLeast
Graph = Literal["tree", "star"]
Rate = Annotated[float, AtLeast(0)] | None

class Base(Strategy):
    name = "base"
    def __init__(self, learner, *, tau: int = 8, graph: Graph = "tree", rate: Rate = None):
        raise SystemExit("it is run")

class Middle(Base):
    pass

class Derived(Middle):
    name = "derived"
    def __init__(self, learner, extra: bool = False, **options):
        super().__init__(learner, **options)

class Closed(Base):
    name = "closed"
    def __init__(self, learner, *, own: Unknown = 1):
        super().__init__(learner)

class Mixed(Derived, Elsewhere):
    name = "mixed"
    def __init__(self, learner, **options):
        super().__init__(learner, **options)
"""


@pytest.fixture
def declarations(tmp_path: Path) -> Declarations:
    (tmp_path / "some.py").write_text(FOLDER)
    return Declarations("strategy", tmp_path, "Strategy", given=1)


def check(declarations: Declarations, name: str, given: dict[str, Any]) -> None:
    declared = declarations.of(name)
    check_options(f"strategy '{name}'", given, declared.annotations, declared.others)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("base", {"tua": 3}, "has no option 'tua'; did you mean 'tau'"),
        ("base", {"tau": 1.5}, "'tau' must be a whole number, but is 1.5"),
        ("base", {"tau": True}, "'tau' must be a whole number, but is True"),
        ("base", {"graph": "sta"}, "'graph' cannot be 'sta'; did you mean 'star'"),
        ("base", {"rate": -1}, "'rate' must be at least 0, but is -1"),
        ("base", {"rate": float("nan")}, "'rate' must be at least 0, but is nan"),
        ("base", {"rate": "x"}, "'rate' must be a number or null, but is 'x'"),
        ("derived", {"extra": 1}, "'extra' must be true or false, but is 1"),
        ("derived", {"graph": "ring"}, "'graph' cannot be 'ring'"),
        ("derived", {"taus": 1}, "has no option 'taus'; did you mean 'tau'"),
        ("closed", {"tau": 1}, r"has no option 'tau' \(known: own\)"),
        ("deriver", {}, "no strategy 'deriver'; did you mean 'derived'"),
    ],
)
def test_what_a_class_does_not_take_is_refused(
    declarations: Declarations, name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check(declarations, name, given)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("base", {"tau": 3, "graph": "star", "rate": None}),
        ("derived", {"extra": True, "tau": 2, "rate": 1}),
        ("closed", {"own": "whatever: its annotation is not understood"}),
        ("mixed", {"whatever": "the second base is elsewhere"}),
    ],
)
def test_what_it_takes_or_what_reading_cannot_tell_passes(
    declarations: Declarations, name: str, given: dict[str, Any]
) -> None:
    check(declarations, name, given)


def test_a_file_is_read_with_the_classes_of_the_folder(declarations: Declarations, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    mine = place / "mine.py"
    mine.write_text("class Mine(Base):\n    def __init__(self, learner, *, own: int = 1, **options): ...\n")
    check(declarations, f"{mine}:Mine", {"own": 2, "tau": 3})
    with pytest.raises(UserError, match="has no option 'onw'; did you mean 'own'"):
        check(declarations, f"{mine}:Mine", {"onw": 2})
    with pytest.raises(UserError, match=r"mine.py defines no strategy 'Mime'; did you mean 'Mine'"):
        check(declarations, f"{mine}:Mime", {})
    mine.write_text("class Mine(:")
    with pytest.raises(UserError, match=r"the strategy file .*mine.py, line 1: invalid syntax"):
        check(declarations, f"{mine}:Mine", {})
    mine.write_bytes(b"# \xff")
    with pytest.raises(UserError, match=r"mine.py cannot be read"):
        check(declarations, f"{mine}:Mine", {})
