"""The source of a strategy says of its options what its class says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dasr.errors import UserError
from dasr.strategies import declared, registry


@pytest.mark.parametrize("name", registry.names())
def test_reading_finds_the_options_and_types_that_importing_finds(name: str) -> None:
    read = declared.DECLARATIONS.of(name)
    imported = registry.options(name)
    assert read.annotations == {key: option.annotation for key, option in imported.items()}
    assert read.defaults == {key: option.default for key, option in imported.items()}
    declared.check(name, read.defaults)


def test_options_of_an_inner_strategy_are_checked_through_the_outer_one() -> None:
    declared.check("slowmo", {"inner": "sd", "mixing": "uniform", "inner_compression": "bf16"})
    with pytest.raises(UserError, match="has no option 'mixin'; did you mean 'mixing'"):
        declared.check("slowmo", {"inner": "sd", "mixin": "uniform"})
    with pytest.raises(UserError, match="no strategy 'sdd'; did you mean 'sd'"):
        declared.check("slowmo", {"inner": "sdd"})


def test_torch_is_not_imported() -> None:
    code = "import sys; from dasr.planning.check import check_inputs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
