"""Options of strategies checked by their source alone: the workflow is parsed without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dasr.declarations import Declarations
from dasr.plugins import check_options
from dasr.strategies.parts import options as vocabulary

INNER = "inner_"  # before an option of an inner strategy whose name the outer one has too

DECLARATIONS = Declarations("strategy", Path(__file__).parent, "Strategy", 1, vars(vocabulary))


def check(name: str, given: Mapping[str, Any]) -> None:
    """Raise UserError for a strategy or an option that does not exist, or a value that it does not take.

    An inner strategy takes what its outer one does not name. What its constructor finds out besides (that
    options contradict each other) needs torch."""
    declared = DECLARATIONS.of(name)
    known, others = dict(declared.annotations), declared.others
    inner = given.get("inner", declared.defaults.get("inner"))
    check_options(f"strategy '{name}'", given, known, others=True)
    if others and isinstance(inner, str):
        inside = DECLARATIONS.of(inner)
        known |= {INNER + key: value for key, value in inside.annotations.items()}
        known |= {key: value for key, value in inside.annotations.items() if key not in known}
        others = inside.others
    check_options(f"strategy '{name}'", given, known, others)
