"""The command line: every stage has a --help, a mistake is one line and status 2."""

import logging
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from dasr.cli import COMMANDS, EXAMPLES, dasr


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_stage_explains_itself(command: str) -> None:
    result = CliRunner().invoke(dasr, [command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_a_mistyped_stage_is_one_line_with_the_nearest_name() -> None:
    run = subprocess.run([sys.executable, "-m", "dasr", "decod"], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr == "dasr: error: no command 'decod'; did you mean 'decode'? (see `dasr --help`)\n"


def test_no_help_waits_for_torch() -> None:
    code = (
        "import sys; from dasr.cli import COMMANDS, EXAMPLES, dasr\n"
        "for name in COMMANDS: dasr([name, '--help'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_every_help_but_that_of_a_learner_has_examples() -> None:
    assert COMMANDS.keys() - EXAMPLES.keys() == {"learner"}
    for name, lines in EXAMPLES.items():
        shown = CliRunner().invoke(dasr, [name, "--help"]).output.splitlines()
        assert shown[-len(lines) :] == [f"    {line}" for line in lines]
        assert all(line.startswith(f"dasr {name} ") or line == f"dasr {name}" for line in lines)


@pytest.mark.parametrize(("given", "level"), [("-v", "DEBUG"), ("--quiet", "WARNING"), ("-q", "WARNING")])
def test_each_command_can_say_more_or_less(given: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("dasr")
    before = logger.level, logger.handlers, logger.propagate
    monkeypatch.setenv("DASR_LOG_LEVEL", "INFO")  # and put back
    try:
        assert CliRunner().invoke(dasr, ["clusters", given]).exit_code == 0
        assert logging.getLevelName(logger.level) == os.environ["DASR_LOG_LEVEL"] == level
    finally:
        logger.level, logger.handlers, logger.propagate = before
