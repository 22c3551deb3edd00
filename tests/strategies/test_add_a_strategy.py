"""The example of docs/add-a-strategy.md is one file of at most 40 lines, and runs in both worlds."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.process.world import ProcessWorld
from tests.support import oracles, recursion_trial
from tests.support.both_worlds import train

DOC = Path(__file__).parents[2] / "docs" / "add-a-strategy.md"
SIZE, STEPS = 3, 6
OPTIONS: dict[str, Any] = {"tau": 2, "half": 4}


def in_a_process(name: str, world: ProcessWorld) -> Any:
    return world.run(train(world, [(name, OPTIONS)], recursion_trial.Wavy, plain=True))


def test_the_documented_strategy_runs_in_both_worlds(tmp_path: Path) -> None:
    match = re.search(r"```python\n(.*?)```", DOC.read_text(), re.S)
    assert match is not None
    source = match[1]
    assert len(source.splitlines()) <= 40
    path = tmp_path / "adacomm.py"
    path.write_text(source)
    name = f"{path}:AdaComm"

    w = oracles.initial(SIZE)
    for k in range(STEPS):
        w = w - oracles.A * oracles.g(w, k)
        if (k + 1) % max(1, 2 // 2 ** (k // 4)) == 0:
            w = oracles.mean(w)
    simulated = recursion_trial.run(name, SIZE, STEPS, **OPTIONS).weights
    np.testing.assert_allclose(simulated, w, rtol=0, atol=1e-12)

    real = [results[0][0] for results in run_processes(SIZE, partial(in_a_process, name))]
    np.testing.assert_allclose(np.array(real), w, rtol=0, atol=1e-12)
