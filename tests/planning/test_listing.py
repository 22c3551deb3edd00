"""What there is to choose from fits a terminal of 60 columns, and is complete."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from dasr import cli
from dasr.models import registry as models
from dasr.strategies import registry as strategies
from dasr.worlds.simulated.presets import PRESETS


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(
    ("command", "known"),
    [("strategies", strategies.names()), ("models", models.names()), ("clusters", list(PRESETS))],
)
def test_everything_is_listed_in_lines_that_fit(command: str, known: list[str], columns: int) -> None:
    result = CliRunner().invoke(cli.dasr, [command], env={"COLUMNS": str(columns)}, catch_exceptions=False)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    begins = [line.split("  ")[0] for line in lines if not line.startswith(" ")]
    assert begins == known


def test_options_stand_with_their_defaults() -> None:
    result = CliRunner().invoke(cli.dasr, ["strategies"], env={"COLUMNS": "100"}, catch_exceptions=False)
    words = result.stdout.split()
    default = strategies.options("bmuf")["tau"].default
    assert f"tau={default}" in words
