"""A strategy rehearsed in virtual time: what its author would find out after hours, in a second.

    for fault in faults("adacomm.py:AdaComm", {"tau": 8}): print(fault)

Four learners minimise a noisy quadratic, of which every value is known to be finite and cheap; what differs
from what a strategy promises is one line, with the line of the author's file.
"""

from __future__ import annotations

import inspect
import io
import logging
import traceback
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from dasr.errors import UserError
from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.plugins import FILE
from dasr.rehearsal.watched import Author, WatchedWorld
from dasr.strategies import registry
from dasr.strategies.base import Strategy
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import Ready
from dasr.worlds.simulated.clusters import Cluster, Compute, Link
from dasr.worlds.simulated.scheduler import Deadlock, SimulationError
from dasr.worlds.simulated.simulation import LearnerLost, Simulation

logger = logging.getLogger(__name__)

LEARNERS, STEPS, SAVED_AT = 4, 64, 37  # a step in the middle of blocks of 2, 4, 8, ...
DIMENSION = 13
LINK = Link(gbit_s=10.0, latency_us=50.0)
CLUSTER = Cluster(learners_per_node=2, inside=LINK, between=LINK, store_us=50.0, compute=Compute(fixed_s=1.0))

State = bytes
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, at a line of the author's file. A `warning` does not keep it from running."""

    path: str
    line: int
    text: str
    warning: bool = False

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class NoUpdateError(Exception):
    """A step of a synchronous strategy that did not update the weights."""


class Counted(Quadratic):
    """Knows how many gradients were taken."""

    def __init__(self, rank: int, size: int) -> None:
        super().__init__(DIMENSION, batch=size, rank=rank, size=size)
        self.taken = 0

    def gradient(self, weights: Tensor, gradient: Tensor, ready: Ready) -> float:
        self.taken += 1
        return super().gradient(weights, gradient, ready)


class Boundaries:
    """The Callbacks of a rehearsing learner: its state in the middle, and whether every step makes one."""

    def __init__(self, strategy: Strategy | None = None) -> None:
        self.strategy = strategy
        self.saved: State | None = None
        self.plain: dict[str, Any] = {}  # the strategy's numbers and vectors when it was saved
        self._last = -1

    def at(self, step: int, doing: str) -> None:
        """Nobody watches."""

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        if together and learner.steps == self._last:
            raise NoUpdateError
        self._last = learner.steps
        if learner.steps >= SAVED_AT and self.saved is None and self.strategy is not None:
            state = {"learner": learner.state_dict(), "strategy": self.strategy.state_dict()}
            self.plain = plain_values(self.strategy)
            stream = io.BytesIO()
            torch.save(state, stream)
            self.saved = stream.getvalue()
        return True


class Rehearsal:
    """One run of a strategy by LEARNERS learners, from its beginning or from saved states."""

    def __init__(self, name: str, options: Options, states: list[State] | None = None) -> None:
        """Raises what the strategy's constructor or load_state_dict raises."""
        kind = registry.find(name)
        self.author = Author(inspect.getfile(kind))
        self.simulation = Simulation(CLUSTER, LEARNERS)
        self.tasks = [Counted(rank, LEARNERS) for rank in range(LEARNERS)]
        self.boundaries = [Boundaries() for _ in range(LEARNERS)]
        self.learners: list[Learner] = []
        self.strategies: list[Strategy] = []
        make_optimizer = optimizer.chosen(kind.optimizer, 0.0, None)
        for rank, world in enumerate(self.simulation.worlds):
            watched: Any = WatchedWorld(world, self.author)
            learner = Learner(
                watched,
                self.tasks[rank],
                make_optimizer,
                lambda samples: 0.05,
                Budget(STEPS, LEARNERS, LEARNERS),
                self.boundaries[rank],
            )
            self.learners.append(learner)
            self.strategies.append(registry.make(name, learner, **options))
            self.boundaries[rank].strategy = self.strategies[-1]
        self.restored: list[dict[str, Any]] = []
        for learner, strategy, state in zip(self.learners, self.strategies, states or (), strict=False):
            content = torch.load(io.BytesIO(state), weights_only=True)
            learner.load_state_dict(content["learner"])
            strategy.load_state_dict(content["strategy"])
            self.restored.append(plain_values(strategy))

    def run(self) -> None:
        """To the end of the budget. Raises SimulationError, NoUpdateError and what the strategy raises."""
        with self.author.coroutines():
            self.simulation.run(lambda world: self.strategies[world.rank].run())

    @property
    def weights(self) -> list[Tensor]:
        return [learner.weights for learner in self.learners]

    def trace(self) -> tuple[Any, ...]:
        """What an option may change: weights, traffic and time."""
        accounts = [world.accounts for world in self.simulation.worlds]
        traffic = [(one.bytes_sent, one.messages, one.wait_seconds) for one in accounts]
        return [weights.tolist() for weights in self.weights], traffic, self.simulation.now


def require(name: str, options: Options) -> None:
    """Rehearse a strategy; says warnings, raises UserError with its faults."""
    found = faults(name, options)
    for one in found:
        if one.warning:
            logger.warning("%s", one)
    lines = [str(one) for one in found if not one.warning]
    if len(lines) == 1:
        raise UserError(lines[0])
    if lines:
        raise UserError("\n  ".join([f"the strategy {name} has {len(lines)} faults:", *lines]))


def faults(name: str, options: Options) -> list[Fault]:
    """Everything that the rehearsal of a strategy finds. Raises UserError for an unknown name or option."""
    registry.check(name, options)
    return list(_Examination(name, options).faults())


class _Examination:
    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.kind = registry.find(name)
        self.file = inspect.getfile(self.kind)
        self.shown = name.rpartition(FILE)[0] + ".py" if FILE in name else Path(self.file).name

    def faults(self) -> Iterator[Fault]:
        if not isinstance(getattr(self.kind, "name", None), str):
            yield self._of_class(f"class {self.kind.__name__} has no `name`")
            return
        try:
            whole = Rehearsal(self.name, self.options)
        except Exception as error:
            yield self._of_error(error)
            return
        stopped = None
        try:
            whole.run()
        except Exception as error:
            stopped = self._of_error(error)
        forgotten = list(self._forgotten(whole))
        yield from forgotten
        if stopped is not None and not forgotten:  # what follows from a forgotten await explains nothing
            yield stopped
        if stopped is None and not forgotten:
            ended = list(self._after(whole))
            yield from ended
            if not ended:
                yield from self._idle_options(whole)

    def _forgotten(self, whole: Rehearsal) -> Iterator[Fault]:
        for line, call in whole.author.all_forgotten():
            yield Fault(self.shown, line, f"`{call}()` is never awaited")

    def _after(self, whole: Rehearsal) -> Iterator[Fault]:
        """What is wrong with a rehearsal that ran to its end."""
        for learner, task in zip(whole.learners, whole.tasks, strict=True):
            if learner.weights.shape != (DIMENSION,):
                length = tuple(learner.weights.shape)
                yield self._of_class(f"the weights end as a vector of shape {length}, not ({DIMENSION},)")
                return
            if not torch.isfinite(learner.weights).all():
                yield self._of_class("the weights end as NaN or infinite, on a quadratic that SGD solves")
                return
            if learner.steps > task.taken:
                yield self._of_class(
                    f"{learner.steps} updates with {task.taken} gradients: efficiency above 1"
                )
                return
        least = sum(learner.steps for learner in whole.learners) / LEARNERS  # seconds, a gradient takes one
        if whole.simulation.now < least * (1 - 1e-9):
            yield self._of_class(
                f"{least:g} s of gradients in {whole.simulation.now:g} s: efficiency above 1"
            )
            return
        yield from self._state(whole)

    def _state(self, whole: Rehearsal) -> Iterator[Fault]:
        """State that does not survive a checkpoint."""
        states = [one.saved for one in whole.boundaries]
        if any(state is None for state in states):
            return  # it ended earlier
        try:
            resumed = Rehearsal(self.name, self.options, [state for state in states if state is not None])
        except Exception as error:
            yield self._of_error(error, "a checkpoint cannot be restored: ")
            return
        if self.kind.asynchronous:  # resumes at another moment: only what was saved can be compared
            return
        try:
            resumed.run()
        except Exception as error:
            yield self._of_error(error, f"resumed at step {SAVED_AT}: ")
            return
        if all(map(torch.equal, whole.weights, resumed.weights)):
            return
        lost = sorted(
            {
                key
                for one, restored in zip(whole.boundaries, resumed.restored, strict=True)
                for key, value in one.plain.items()
                if key in restored and not _equal(value, restored[key])
            }
        )
        which = ", ".join(f"self.{key}" for key in lost) or "something"
        where = vars(self.kind).get("state_dict")
        text = f"{which} does not survive a checkpoint: resumed at step {SAVED_AT} of {STEPS}, the weights "
        yield self._of_class(text + "differ; put it into state_dict()", where)

    def _idle_options(self, whole: Rehearsal) -> Iterator[Fault]:
        for key, option in registry.options(self.name).items():
            value = self.options.get(key, option.default)
            tried = [one for one in dict.fromkeys(alternatives(value, option.annotation)) if one != value]
            if not tried or any(self._differs(whole, key, other) for other in tried):
                continue
            shown = ", ".join(map(str, tried))
            text = f"the option '{key}' has no effect: {value} gives what {shown} give"
            yield self._of_class(text, vars(self.kind).get("__init__"), warning=True)

    def _differs(self, whole: Rehearsal, key: str, value: Any) -> bool:
        try:
            other = Rehearsal(self.name, {**self.options, key: value})
            other.run()
        except Exception:  # such a value is not for these learners: it has an effect
            return True
        return other.trace() != whole.trace()

    def _of_error(self, error: Exception, before: str = "") -> Fault:
        line = _line(error.__traceback__, self.file)
        if isinstance(error, NoUpdateError):
            return self._of_class(
                "step() returns without an update of the weights", vars(self.kind).get("step")
            )
        if isinstance(error, Deadlock):
            lines = [at for stack in error.stacks for path, at in stack[::-1] if path == self.file]
            first = str(error).splitlines()[1].strip()
            return self._at(lines[0] if lines else None, f"{before}deadlock: {first}")
        if isinstance(error, SimulationError) and error.__cause__ is not None:
            line = _line(error.__cause__.__traceback__, self.file)
        if isinstance(error, LearnerLost):  # nobody dies here: it ended while others needed it
            before += "deadlock: "
        kind = "" if isinstance(error, SimulationError | UserError) else f"{type(error).__name__}: "
        return self._at(line, f"{before}{kind}{str(error).splitlines()[0] if str(error) else ''}")

    def _of_class(self, text: str, function: Any = None, warning: bool = False) -> Fault:
        line = inspect.getsourcelines(self.kind if function is None else function)[1]
        return Fault(self.shown, line, text, warning)

    def _at(self, line: int | None, text: str) -> Fault:
        return self._of_class(text) if line is None else Fault(self.shown, line, text)


def _line(trace: TracebackType | None, path: str) -> int | None:
    """The innermost line of that file in a traceback."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == path]
    return lines[-1] if lines else None


def plain_values(strategy: Strategy) -> dict[str, Any]:
    """Numbers and copies of vectors among a strategy's attributes."""
    found: dict[str, Any] = {}
    for key, value in vars(strategy).items():
        if isinstance(value, Tensor):
            found[key] = value.clone()
        elif isinstance(value, int | float | str | bool):
            found[key] = value
    return found


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    return bool(one == other)


def alternatives(value: Any, annotation: Any) -> list[Any]:
    """Other values of an option, near and far; none where no other can be guessed."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [1, 2, value // 2, value + 1, 2 * value]
    if isinstance(value, float):
        return [value / 2, 2 * value, value + 0.125]
    return []
