"""A pytest plugin: a test that costs over 5 s of CPU time is marked slow, or it fails.

CPU time and not wall-clock time, so that the verdict is the same on a busy machine. It is that of this
process and of its descendants, as far as they have ended or are children of this process (the fork server of
multiprocessing is one: its own children count once they have ended). A shared fixture is charged to the test
that sets it up."""

from __future__ import annotations

import os
import resource
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest

MOST_S = 5.0
FAILS_S = 1.5 * MOST_S  # on cores that others use too the same work costs up to half as much again
SHOWN = 20

_seconds = pytest.StashKey[float]()


class CpuLimit:
    def __init__(self) -> None:
        self.costs: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        began = cpu_seconds()
        yield
        item.stash[_seconds] = cpu_seconds() - began

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        began = cpu_seconds()
        yield
        cost = item.stash[_seconds] + cpu_seconds() - began
        self.costs[item.nodeid] = cost
        if cost > FAILS_S and "COVERAGE_RUN" not in os.environ and item.get_closest_marker("slow") is None:
            pytest.fail(
                f"{cost:.1f} s of CPU time, over {MOST_S:.0f}: make it cheaper or mark it slow", pytrace=False
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        costs = sorted(self.costs.items(), key=lambda cost: -cost[1])
        terminalreporter.section(f"CPU time: {sum(self.costs.values()):.0f} s")
        for nodeid, cost in costs[:SHOWN]:
            if cost >= 1.0:
                terminalreporter.write_line(f"{cost:6.1f} s  {nodeid}")


def cpu_seconds() -> float:
    """User and system time: of this process, of descendants that were waited for, of living children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used) + sum(_living())


def _living() -> Iterator[float]:
    for task in Path("/proc/self/task").iterdir():
        try:
            children = [int(pid) for pid in (task / "children").read_text().split()]
        except OSError:  # a thread that ended, or a kernel without this file
            continue
        for pid in children:
            try:
                yield sum(psutil.Process(pid).cpu_times()[:4])
            except psutil.Error:
                continue


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(CpuLimit(), "cpu-limit")
