"""The command line: every stage has a --help, a mistake is one line and status 2."""

import itertools
import logging
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dasr.cli import COMMANDS, EXAMPLES, dasr

ROOT = Path(__file__).resolve().parents[1]


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


ALONE = ("init", "check", "simulate", "strategies", "models", "clusters", "doctor")  # they want no results
OWN_STRATEGY = """
from dasr.strategies.local import Local as _Local

class Mine(_Local):
    name = "mine"
"""


@pytest.mark.parametrize("line", list(itertools.chain.from_iterable(EXAMPLES.values())))
def test_the_options_of_an_example_exist(line: str) -> None:
    name, *given = shlex.split(line)[1:]
    group = click.Context(dasr)
    command = dasr.get_command(group, name)
    assert command is not None
    command.make_context(name, given, parent=group)  # it is not invoked


@pytest.mark.slow
def test_examples_that_want_no_results_can_be_typed(tmp_path: Path) -> None:
    """The stages themselves are run by the workflow."""
    shutil.copy(ROOT / "config.yaml", tmp_path)
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    (tmp_path / "mine.py").write_text(OWN_STRATEGY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ALONE:
        for line in EXAMPLES[name]:
            if "path/to" not in line:
                command = [sys.executable, "-m", *shlex.split(line)]
                run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
                assert run.returncode == 0, f"{line}: {run.stdout[-1000:]} {run.stderr[-2000:]}"
