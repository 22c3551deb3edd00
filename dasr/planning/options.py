"""Options of strategies as they are typed: `-o KEY=VALUE`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from dasr.errors import UserError


def parsed(given: Sequence[str]) -> dict[str, Any]:
    """Values are read as YAML: 8, 0.5, true, ring. Raises UserError."""
    pairs = [one.partition("=") for one in given]
    for key, sign, _ in pairs:
        if not sign:
            raise UserError(f"-o {key}: write KEY=VALUE, as in -o mixing=random-ring")
    return {key: yaml.safe_load(value) for key, _, value in pairs}
