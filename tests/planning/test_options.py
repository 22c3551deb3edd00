"""Options as they are typed."""

from __future__ import annotations

import pytest

from dasr.errors import UserError
from dasr.planning.options import parsed


def test_values_are_read_as_yaml() -> None:
    typed = ["tau=8", "eta=0.5", "nesterov=true", "mixing=random-ring", "beta=null", "name=a=b"]
    assert parsed(typed) == {
        "tau": 8,
        "eta": 0.5,
        "nesterov": True,
        "mixing": "random-ring",
        "beta": None,
        "name": "a=b",
    }


def test_an_option_without_a_value_is_told_how_to_write_it() -> None:
    with pytest.raises(UserError, match="-o tau: write KEY=VALUE"):
        parsed(["tau"])
