"""The command line: every stage has a --help, a mistake is one line and status 2."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from dasr.cli import COMMANDS, dasr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_stage_explains_itself(command: str) -> None:
    result = CliRunner().invoke(dasr, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_a_mistyped_stage_is_one_line_with_the_nearest_name() -> None:
    run = subprocess.run([sys.executable, "-m", "dasr", "decod"], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "dasr: error: no command 'decod'; did you mean 'decode'? (see `dasr --help`)\n"


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, dasr.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
