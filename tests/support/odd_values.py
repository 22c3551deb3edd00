"""Values that people and programs put into configurations by mistake, and all places where they may stand."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from dasr.config import Config

ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**31, 2**63, -(2**70), 10**400,
    0.0, -0.0, 0.5, 1.5, -3.5, 1e-320, 1e308, math.nan, math.inf, -math.inf,
    "", " ", "x", "1e-3", "nan", "line\nbreak", "a\0b", "ünïcødé 🙂", "x" * 5000,
    [], [1, [2]], {}, {"a": {"b": 1}}, ["sd"], datetime.date(2026, 11, 28), "../..", "~", "{run}", b"bytes",
]  # fmt: skip


def keys(section: type[BaseModel] = Config, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the configuration, sections included, as a path."""
    for name, field in section.model_fields.items():
        yield (*prefix, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, (*prefix, name))


def placed(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A configuration that says nothing but that value."""
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    return value
