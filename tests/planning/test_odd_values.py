"""Whatever is put into a configuration is refused in one line, or accepted and can be trained."""

from __future__ import annotations

from typing import Any

import pytest

from dasr import config as configuration
from dasr.config import Config
from dasr.errors import UserError
from dasr.learner.learner import Budget
from dasr.planning.check import check_inputs, check_runs
from dasr.planning.simulate import simulate
from dasr.strategies import registry
from dasr.worlds.simulated import presets
from tests.support.odd_values import ODD_VALUES, keys, placed

STEPS = 20  # more than every default period
CLUSTER = presets.load("ethernet-10g")


def accepted(given: dict[str, Any]) -> Config | None:
    """The configuration, if it is accepted; a refusal must be one line of a readable length."""
    try:
        config = configuration.complete(given)
        check_inputs(config)
        check_runs(config)
    except UserError as error:
        message = str(error)
        assert message.isprintable() and 10 < len(message) < 600, message
        return None
    return config


@pytest.mark.slow
@pytest.mark.parametrize("path", list(keys()), ids=".".join)
def test_an_odd_value_is_refused_in_one_line_or_survives_a_file(path: tuple[str, ...]) -> None:
    for value in ODD_VALUES:
        config = accepted(placed(path, value))
        if config is not None:
            assert configuration.parse(config.text(), "text") == config
            assert all(isinstance(run.name, str) for run in configuration.runs(config))


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.names())
def test_an_odd_option_of_a_strategy_is_refused_or_the_run_goes_through(name: str) -> None:
    for key in registry.options(name):
        for value in ODD_VALUES:
            entry = {"strategy": name, key: value}
            config = accepted({"comparison": {"strategies": [entry], "learners": [4]}})
            if config is not None:
                (run,) = configuration.runs(config)
                options = dict(run.options)
                simulate(name, Budget(STEPS, run.learners, run.learners), CLUSTER, options=options)
