"""How `throughput.py` takes the time of steps on a device, and makes a learner slow."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from dasr.learner.learner import Learner
from dasr.tasks.captured_task import CapturedTask
from dasr.worlds.interface import ALL
from dasr.worlds.process.world import ProcessWorld


class Slowed:
    """A task on a device that takes `factor` times as long, and no less than `least_s`."""

    # The gradients of which the shortest counts: the first ones load libraries, and one that comes upon a
    # pause of the host would let this learner run on as fast as it goes.
    MEASURED = range(3, 8)

    def __init__(self, task: CapturedTask, factor: float = 1.0, least_s: float = 0.0):
        self.task, self.factor, self.least_s = task, factor, least_s
        self.calls, self.alone, self.pause_s = 0, math.inf, 0.0
        self.cycles_a_second = 0.0
        self.gradient_dtype = task.gradient_dtype  # or else, from Python 3.12 on, it is no CopiesWeights

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def load_weights(self, weights: Tensor, gradient: Tensor, where: slice = ALL) -> None:
        self.task.load_weights(weights, gradient, where)

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Any) -> Any:
        began = Mark(weights.device)
        loss = self.task.gradient(weights, gradient, ready)
        self.calls += 1
        if self.calls in self.MEASURED:
            ended = Mark(weights.device)
            synchronize(weights.device)
            self.alone = min(self.alone, began.seconds_to(ended))
            self.pause_s = max(self.factor * self.alone, self.least_s) - self.alone
        self._pause(weights.device)
        return loss

    def _pause(self, device: torch.device) -> None:
        if device.type != "cuda":
            time.sleep(self.pause_s)
            return
        if not self.cycles_a_second:
            began = Mark(device)
            torch.cuda._sleep(20_000_000)  # type: ignore[no-untyped-call]
            ended = Mark(device)
            synchronize(device)
            self.cycles_a_second = 20e6 / began.seconds_to(ended)
        torch.cuda._sleep(max(1, round(self.pause_s * self.cycles_a_second)))  # type: ignore[no-untyped-call]


BLOCK = 24  # steps: three blocks of `bmuf` and `local`, so that their ends are in the time


class Timer:
    """The learner's keeper: leaves out the first steps, reads the clock at each other, the accounts at both
    ends."""

    def __init__(self, warm_up: int, steps: int, world: ProcessWorld, profile: Path | None = None):
        self.warm_up, self.last, self.world, self.profile = warm_up, warm_up + steps, world, profile
        self.began = self.seconds = 0.0
        self.steps, self.mean_ms, self.spent = 0, math.nan, {"bytes_sent": 0, "wait_seconds": 0, "mixes": 0}
        self.marks: list[tuple[int, Mark]] = []
        self.profiler: Any = None

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        if learner.steps == self.warm_up and not self.began:
            synchronize(self.world.device)
            if self.profile:
                self.profiler = torch.profiler.profile()
                self.profiler.start()
            self.before = asdict(self.world.accounts)
            self.began = time.perf_counter()
        if self.began:
            self.marks.append((learner.steps, Mark(self.world.device)))
        if learner.steps >= self.last and not self.seconds:
            self.end()
        return True

    def end(self) -> None:
        if self.seconds:
            return
        synchronize(self.world.device)
        if len(self.marks) < 2:  # others have taken all of the shared budget
            self.seconds = math.inf
            return
        # Or more of it than this one: up to its last step, not the end of all
        (first, began), (last, ended) = self.marks[0], self.marks[-1]
        self.steps, self.seconds = last - first, began.seconds_to(ended)
        self.mean_ms = 1e3 * self.seconds / self.steps
        self.seconds = self.steps * self._typical()
        after = asdict(self.world.accounts)
        self.spent = {k: after[k] - self.before[k] for k in self.spent}
        if self.profiler is not None:
            self.profiler.stop()
            self.profiler.export_chrome_trace(str(self.profile))

    def _typical(self) -> float:
        """Seconds a step: the median of blocks of steps, so that one hiccup of the host does not decide."""
        pairs = zip(self.marks[:-BLOCK:BLOCK], self.marks[BLOCK::BLOCK], strict=False)
        blocks = [a.seconds_to(b) / (last - first) for (first, a), (last, b) in pairs]
        return median(blocks) if len(blocks) > 1 else self.seconds / self.steps

    def at(self, step: int, doing: str) -> None: ...


class Mark:
    """A moment of the device, or of the host where there is none."""

    def __init__(self, device: torch.device):
        timed: Any = torch.cuda.Event
        self.event = timed(enable_timing=True) if device.type == "cuda" else None
        if self.event is not None:
            self.event.record()
        self.time = time.perf_counter()

    def seconds_to(self, later: Mark) -> float:
        if self.event is None or later.event is None:
            return later.time - self.time
        return float(self.event.elapsed_time(later.event)) / 1e3


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
