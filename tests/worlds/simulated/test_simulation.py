"""The simulated world: costs equal their formulas, nothing is lost, faults are reported, same seed same
bits."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import pytest

TRACE = """
import dataclasses, hashlib, torch
from dasr.strategies import registry
from dasr.worlds.simulated.clusters import Slow
from dasr.worlds.simulated.presets import PRESETS
from dasr.learner.learner import Budget
from dasr.planning.simulate import simulate
from dasr.planning.workloads import quadratic
digest = hashlib.sha256()
cluster = dataclasses.replace(PRESETS["ethernet-1g"], slow=(Slow(1, 3.0),))
for strategy in registry.names():
    work = quadratic(dimension=8)
    learners = 1 if strategy == "single" else 5
    result = simulate(strategy, Budget(12, 2 * learners, learners), cluster, seed=3, workload=work)
    digest.update(repr(result.record()).encode())
    digest.update(repr(result.curve).encode())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_every_strategy_gives_the_same_bits_for_the_same_seed_in_two_python_processes() -> None:
    other = subprocess.Popen([sys.executable, "-c", TRACE], stdout=subprocess.PIPE, text=True)
    here: dict[str, Any] = {}
    exec(TRACE.replace("print(", "result_here = ("), here)
    output, _ = other.communicate()
    assert len(here["result_here"]) == hashlib.sha256().digest_size * 2
    assert output.strip() == here["result_here"]
