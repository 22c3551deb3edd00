"""The example of docs/add-a-strategy.md, typed as the page says: at most 15 lines, in both worlds."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from dasr import cli
from dasr.strategies import registry
from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.process.world import ProcessWorld
from tests.docs import pages
from tests.support import oracles, recursion_trial
from tests.support.both_worlds import train

BLOCKS = {block.language: block.text for block in pages.blocks(pages.DOCS / "add-a-strategy.md")}
COMMANDS = [b.text for b in pages.blocks(pages.DOCS / "add-a-strategy.md") if b.language == "bash"]
SIZE, STEPS = 3, 6
OPTIONS: dict[str, Any] = {"tau": 2, "half": 4}


@pytest.fixture
def strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a user types to name the strategy, in the folder where the file is."""
    (tmp_path / "adacomm.py").write_text(BLOCKS["python"] + "\n")
    monkeypatch.chdir(tmp_path)
    return "adacomm.py:AdaComm"


def in_a_process(strategy: str, world: ProcessWorld) -> Any:
    return world.run(train(world, [(strategy, OPTIONS)], recursion_trial.Wavy, plain=True))


def test_the_example_has_at_most_15_lines() -> None:
    assert len([line for line in BLOCKS["python"].splitlines() if line.strip()]) <= 15


def test_the_example_follows_its_recursion_in_both_worlds(strategy: str) -> None:
    w = oracles.initial(SIZE)
    for k in range(1, STEPS + 1):
        w = w - oracles.A * oracles.g(w, k - 1)
        if k % max(1, 2 // 2 ** (k // 4)) == 0:
            w = oracles.mean(w)
    simulated = recursion_trial.run(strategy, SIZE, STEPS, **OPTIONS).weights
    np.testing.assert_allclose(simulated, w, rtol=0, atol=1e-12)

    real = [results[0][0] for results in run_processes(SIZE, partial(in_a_process, strategy))]
    np.testing.assert_allclose(np.array(real), w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page_check_and_simulate_it(strategy: str, command: str) -> None:
    program, *arguments = shlex.split(command)
    result = CliRunner().invoke(cli.dasr, arguments)
    assert program == "dasr" and result.exit_code == 0, result.output
    assert strategy in result.output


def test_the_configuration_of_the_page_names_it_and_its_option(strategy: str) -> None:
    listed = yaml.safe_load(BLOCKS["yaml"])["comparison"]["strategies"][-1]
    assert listed.pop("strategy") == strategy
    registry.check(strategy, listed)
