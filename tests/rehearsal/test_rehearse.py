"""Each fault of a strategy is one line that names the author's line; strategies without one pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dasr.errors import UserError
from dasr.planning.check import check
from dasr.planning.command import simulate
from dasr.rehearsal.rehearse import faults, require
from dasr.strategies import registry

HEAD = """from dasr.strategies.base import Strategy

class Mine(Strategy):
    name = "mine"
    def __init__(self, learner, *, tau: int = 4):
        super().__init__(learner)
        self.tau, self.velocity = tau, learner.copy() * 0
"""
AVERAGING = """
    async def step(self):
        await self.learner.step()
        if self.learner.steps % self.tau == 0:
            self.learner.assign(await self.world.all_reduce(self.learner.copy()))
"""
SLOW_MOMENTUM = """
    async def step(self):
        await self.learner.step()
        if self.learner.steps % self.tau == 0:
            mean = await self.world.all_reduce(self.learner.copy())
            self.velocity = 0.5 * self.velocity + 0.1 * mean
            self.learner.assign(mean - self.velocity)
"""


def written(tmp_path: Path, body: str, head: str = HEAD) -> str:
    path = tmp_path / "mine.py"
    path.write_text(head + body)
    return f"{path}:Mine"


def line_of(name: str, text: str) -> int:
    lines = Path(name.rpartition(":")[0]).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def found(name: str) -> list[str]:
    return [f"{fault.line}: {fault.text}" for fault in faults(name, {})]


@pytest.mark.parametrize("name", ["ad", "bmuf", "delay-by-one", "easgd", "local", "sc-ps", "sgp", "single"])
def test_strategies_of_the_package_have_no_fault(name: str) -> None:
    assert not [fault for fault in faults(name, {}) if not fault.warning]


@pytest.mark.slow
def test_no_strategy_of_the_package_has_a_fault() -> None:
    for name in registry.names():
        assert not [str(fault) for fault in faults(name, {}) if not fault.warning], name


def test_a_strategy_without_a_fault_passes(tmp_path: Path) -> None:
    assert found(written(tmp_path, AVERAGING)) == []


@pytest.mark.parametrize(
    ("body", "where", "says"),
    [
        (AVERAGING.replace("await self.learner.step()", "self.learner.step()"), "self.learner.step()",
         "`step()` is never awaited"),
        ("""
    async def step(self):
        self.learner.compute()
        self.learner.update()
""", "compute", "`compute()` is never awaited"),
        (AVERAGING.replace("assign(await self.world.all_reduce(self.learner.copy()))",
                           "copy(); self.world.all_reduce(self.learner.copy())"),
         "all_reduce", "`all_reduce()` is never awaited"),
        (AVERAGING.replace("self.learner.copy()", "self.learner.copy()[:5]"), "all_reduce",
         "ValueError: the model that the weights become has 5 elements, not 13"),
        (AVERAGING.replace("self.learner.assign(await self.world.all_reduce(self.learner.copy()))",
                           "self.learner.add([(1.0, self.learner.copy()[:1])])"), "add(",
         "ValueError: a vector that is added to the weights has 1 elements, not 13"),
        ("""
    async def step(self):
        self.learner.update()
""", "class Mine", "64 updates with 0 gradients: efficiency above 1"),
        ("""
    async def step(self):
        await self.learner.compute()
""", "def step", "step() returns without an update of the weights"),
        (AVERAGING.replace("self.tau == 0:", "self.tau == 0 and self.world.rank:"), "all_reduce",
         "deadlock: learner 0 has finished, and another cannot go on without it (in learner 1"),
        ("""
    async def step(self):
        await self.learner.step()
        await self.world.receive((self.world.rank + 1) % 4)
""", "receive", "deadlock: learner 0 (main) waits for a message (tag 0) from learner 1 since 1 s"),
        (AVERAGING.replace("all_reduce(self", "all_reduced(self"), "all_reduced", "AttributeError: "),
        (SLOW_MOMENTUM, "class Mine",
         "self.velocity does not survive a checkpoint: resumed at step 37 of 64, the weights differ"),
        (SLOW_MOMENTUM + """
    def state_dict(self):
        return {"velocity": self.velocity}
""", "class Mine", "a checkpoint cannot be restored: ValueError: strategy 'mine' keeps no state"),
        (AVERAGING.replace("self.tau", "4"), "def __init__",
         "the option 'tau' has no effect: 4 gives what 1, 2, 5, 8 give"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_that_names_the_line_of_the_author(
    tmp_path: Path, body: str, where: str, says: str
) -> None:
    name = written(tmp_path, body)
    (line,) = found(name)
    assert line.startswith(f"{line_of(name, where)}: {says}")


def test_state_that_is_saved_and_restored_survives(tmp_path: Path) -> None:
    kept = """
    def state_dict(self):
        return {"velocity": self.velocity}
    def load_state_dict(self, state):
        self.velocity = state["velocity"]
"""
    assert found(written(tmp_path, SLOW_MOMENTUM + kept)) == []


def test_two_faults_are_two_lines(tmp_path: Path) -> None:
    two = """
    async def step(self):
        self.learner.step()
        self.world.all_reduce(self.learner.copy())
"""
    name = written(tmp_path, two)
    assert [line.split(": ")[1] for line in found(name)] == [
        "`step()` is never awaited",
        "`all_reduce()` is never awaited",
    ]
    with pytest.raises(UserError, match=r"has 2 faults:\n  .*mine.py:10: .*\n  .*mine.py:11: "):
        require(name, {})


@pytest.mark.parametrize("command", ["check", "simulate"])
def test_a_start_of_a_strategy_by_path_begins_with_the_rehearsal(tmp_path: Path, command: str) -> None:
    name = written(tmp_path, AVERAGING.replace("await self.learner.step()", "self.learner.step()"))
    arguments = [name] if command == "check" else ["--strategy", name, "--steps", "2"]
    with pytest.raises(UserError, match=r"mine.py:10: `step\(\)` is never awaited"):
        CliRunner().invoke(check if command == "check" else simulate, arguments, catch_exceptions=False)
