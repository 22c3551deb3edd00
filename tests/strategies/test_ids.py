"""The ids that a user may type, without importing a strategy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.strategies import registry
from dasr.strategies.ids import check_id, strategy_ids


def test_they_are_those_of_the_registry() -> None:
    assert strategy_ids() == set(registry.names())


def test_an_unknown_one_names_the_nearest_and_a_file_must_be_there(tmp_path: Path) -> None:
    check_id("sc-allreduce")
    with pytest.raises(UserError, match=r"no strategy 'sc-alreduce'; did you mean 'sc-allreduce'\?"):
        check_id("sc-alreduce")
    with pytest.raises(UserError, match=r"no strategy file .*mine.py"):
        check_id(f"{tmp_path / 'mine.py'}:Mine")
    (tmp_path / "mine.py").write_text("")
    check_id(f"{tmp_path / 'mine.py'}:Mine")


def test_reading_them_does_not_import_torch() -> None:
    code = "import sys\nfrom dasr.strategies.ids import strategy_ids\nstrategy_ids()\n"
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
