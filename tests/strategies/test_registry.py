"""Strategies by name: all of the table are there, and a mistake names the nearest right thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasr.errors import UserError
from dasr.strategies import registry
from tests.support import recursion_trial

TABLE = [
    "single",
    "sc-allreduce",
    "sc-ps",
    "ac-ps",
    "sd",
    "ad",
    "delay-by-one",
    "h-ad",
    "bmuf",
    "local",
    "post-local",
]
TABLE += ["easgd", "slowmo", "sgp", "gossip-pga", "diloco", "streaming-diloco"]


@pytest.mark.parametrize("name", TABLE)
def test_every_default_says_where_it_is_from(name: str) -> None:
    assert set(registry.options(name)) <= set(registry.sources(name))


def test_every_strategy_of_the_table_is_there() -> None:
    assert registry.names() == sorted(TABLE)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("sc-alreduce", {}, "did you mean 'sc-allreduce'"),
        ("bmuf", {"taau": 3}, "did you mean 'tau'"),
        ("bmuf", {"tau": 0}, "at least 1"),
        ("bmuf", {"tau": "8"}, "must be a whole number, but is '8'"),
        ("bmuf", {"nesterov": 1}, "must be true or false"),
        ("bmuf", {"eta": "high"}, "must be a number or null"),
        ("streaming-diloco", {"perod": 4}, "did you mean 'period'"),
        ("streaming-diloco", {"period": 0}, "at least 1"),
        ("ad", {"mixing": "rnig"}, "did you mean 'ring'"),
        ("ad", {"pace": 0.0}, "must be at least 0.001"),
        ("sd", {"order": "update-than-mix"}, "did you mean 'update-then-mix'"),
        ("sd", {"compression": "sing"}, "did you mean 'sign'"),
        ("slowmo", {"inner": "ad"}, "asynchronous"),
        ("slowmo", {"inner": "sd", "mixin": "ring"}, "did you mean 'mixing'"),
        ("slowmo", {"inner": "sd", "bta": 0.3}, "did you mean 'beta'"),
        ("slowmo", {"inner": "local", "iner_tau": 4}, "did you mean 'inner_tau'"),
        ("slowmo", {"inner": "single", "inner_tau": 4}, "slowmo over 'single' has no option 'inner_tau'"),
        ("slowmo", {"inner": "local", "inner_tau": 0}, "at least 1"),
        ("diloco", {"fragments": 99}, "fragments must be 1 to period"),
        ("sgp", {"graph": "ring"}, "cannot be 'ring' .known: exponential, complete"),
        ("sc-ps", {"servers": 0}, "at least 1"),
        ("no/such/file.py:Mine", {}, "no strategy file"),
    ],
)
def test_a_mistake_is_an_error_that_says_what_to_do(name: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        recursion_trial.run(name, 2, 1, **options)


def test_a_file_that_cannot_be_loaded_or_lacks_the_class_is_an_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import nothing_like_that\n")
    with pytest.raises(UserError, match="ModuleNotFoundError"):
        registry.find(f"{bad}:Mine")
    empty = tmp_path / "empty.py"
    empty.write_text("from dasr.strategies.single import Single\n\n\nclass Min(Single):\n    name = 'min'\n")
    with pytest.raises(UserError, match="did you mean 'Min'"):
        registry.find(f"{empty}:Mine")


def test_float_options_take_whole_numbers() -> None:
    assert recursion_trial.run("bmuf", 2, 2, eta=0, zeta=1).seconds == 2.0
