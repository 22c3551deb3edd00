"""The virtual clock: activities are coroutines, events wait on a heap, and the same seed gives the same bits.

Not asyncio: a resume costs about a microsecond, time is virtual, and order follows from (time, sequence
number) alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from typing import Any

from dasr.worlds.interface import GRADIENT_LOOP, Accounts

Wait = tuple[Any, ...]
"""What somebody waits for, kept cheap: ("receive", source, tag). Put into words only when a deadlock is
reported."""

SPIN_LIMIT = 20_000  # resumes per activity without time passing: nobody who makes progress does that


class SimulationError(Exception):
    """The simulated run cannot go on. The text says which learner, when, and why."""


Stack = list[tuple[str, int]]
"""(file, line) of the coroutines of an activity, innermost last."""


class Deadlock(SimulationError):
    """Nothing can run, but some learners have not finished; `stacks`: where each of their activities is."""

    def __init__(self, text: str, stacks: list[Stack]) -> None:
        super().__init__(text)
        self.stacks = stacks


class Future:
    """What an activity awaits. It is completed once, by an event or by another activity."""

    __slots__ = ("done", "error", "value", "waiters", "what")

    def __init__(self, what: Wait) -> None:
        self.done = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.waiters: list[Activity] | None = None
        self.what = what

    def __await__(self) -> Generator[Future, None, Any]:
        if not self.done:
            yield self
        if self.error is not None:
            raise self.error
        return self.value


class Activity:
    """One coroutine of one learner. `learner` is the learner; `computes` marks the gradient loop."""

    __slots__ = ("blocked_at", "computes", "coroutine", "finished", "learner", "name", "waits_on")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], learner: SimulatedLearner, name: str) -> None:
        self.coroutine = coroutine
        self.learner = learner
        self.name = name
        self.finished = Future(("join", name))
        self.waits_on: Future | None = None
        self.blocked_at = 0.0
        self.computes = name == GRADIENT_LOOP


class SimulatedLearner:
    """What the scheduler knows of a learner."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.alive = True
        self.running = 0  # activities not finished
        self.paused: list[Activity] | None = None  # those to resume after a pause; None while it runs
        self.accounts = Accounts()


class Scheduler:
    """Runs activities in virtual time. Seconds since the run began are in `now`."""

    def __init__(self, left: Callable[[SimulatedLearner], None]) -> None:
        self.now = 0.0
        self._left = left  # told when a learner's last activity has ended
        self.current: Activity | None = None
        self.unfinished: dict[Activity, None] = {}
        self.resumes = 0
        self._heap: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._ready: deque[Activity] = deque()
        self._sequence = 0

    def at(self, time: float, action: Callable[[Any], None], argument: Any) -> None:
        """Call `action(argument)` at virtual `time`; equal times in the order of these calls."""
        self._sequence = sequence = self._sequence + 1
        heappush(self._heap, (time, sequence, action, argument))

    def complete(self, future: Future, value: Any = None) -> None:
        future.done = True
        future.value = value
        if future.waiters is not None:
            self._ready.extend(future.waiters)
            future.waiters = None

    def fail(self, future: Future, error: BaseException) -> None:
        if not future.done:
            future.error = error
            self.complete(future)

    def start(self, coroutine: Coroutine[Any, Any, Any], learner: SimulatedLearner, name: str) -> Activity:
        activity = Activity(coroutine, learner, name)
        self.unfinished[activity] = None
        learner.running += 1
        self._ready.append(activity)
        return activity

    def stop(self, learner: SimulatedLearner) -> None:
        """The learner dies: none of its activities ever runs again."""
        learner.alive = False
        for activity in [a for a in self.unfinished if a.learner is learner]:
            del self.unfinished[activity]
            if activity is not self.current:
                activity.coroutine.close()

    def pause(self, learner: SimulatedLearner) -> None:
        learner.paused = learner.paused or []

    def unpause(self, learner: SimulatedLearner) -> None:
        self._ready.extend(learner.paused or ())
        learner.paused = None

    def run(self) -> None:
        """Until nothing is left to do. Raises Deadlock, SimulationError, or what an activity raised."""
        ready, heap, resume = self._ready, self._heap, self._resume
        allowed = SPIN_LIMIT * len(self.unfinished)
        limit = self.resumes + allowed
        while True:
            while ready:
                resume(ready.popleft())
                if self.resumes > limit:
                    raise SimulationError(self._standstill())
            if not heap or not self.unfinished:
                break
            time, _, action, argument = heappop(heap)
            if time > self.now:
                self.now = time
                limit = self.resumes + allowed
            action(argument)
        if self.unfinished:
            stacks = [stack_of(activity.coroutine) for activity in self.unfinished]
            raise Deadlock(f"deadlock at {self.now:.6g} s: nothing can run\n" + self.report(), stacks)

    def _resume(self, activity: Activity) -> None:
        learner = activity.learner
        if not learner.alive:
            return
        if learner.paused is not None:
            learner.paused.append(activity)
            return
        waited = activity.waits_on
        if waited is not None:
            if activity.computes and waited.what[0] != "time":
                learner.accounts.wait_seconds += self.now - activity.blocked_at
            activity.waits_on = None
        self.resumes += 1
        self.current = activity
        try:
            future = activity.coroutine.send(None)
        except StopIteration as stop:
            self.unfinished.pop(activity, None)
            self.complete(activity.finished, stop.value)
            learner.running -= 1
            if not learner.running:
                self._left(learner)
        except Exception as error:
            error.add_note(
                f"in learner {learner.rank}, activity '{activity.name}', at {self.now:.6g} s of virtual time"
            )
            raise
        else:
            activity.waits_on = future
            activity.blocked_at = self.now
            if future.waiters is None:
                future.waiters = [activity]
            else:
                future.waiters.append(activity)
        finally:
            self.current = None

    def _standstill(self) -> str:
        who = self.current or next(iter(self.unfinished))
        return (
            f"virtual time stands still at {self.now:.6g} s: activities keep exchanging at no cost "
            f"(for instance learner {who.learner.rank}, '{who.name}'); give the network a latency, "
            "or mix once per gradient"
        )

    def report(self, limit: int = 12) -> str:
        """Who waits for whom, a line each."""
        lines = []
        for activity in list(self.unfinished)[:limit]:
            future = activity.waits_on
            what = in_words(future.what) if future else "nothing (paused)"
            lines.append(
                f"  learner {activity.learner.rank} ({activity.name}) waits for {what} "
                f"since {activity.blocked_at:.6g} s"
            )
        if len(self.unfinished) > limit:
            lines.append(f"  ... and {len(self.unfinished) - limit} more")
        return "\n".join(lines)


def stack_of(coroutine: Any) -> Stack:
    """Where a coroutine that is suspended stands."""
    found: Stack = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno))
        coroutine = coroutine.cr_await
    return found


def in_words(what: Wait) -> str:
    """`("receive", 2, 0)` as a reader of an error wants it."""
    kind, *rest = what
    if kind == "receive":
        source, tag = rest
        return f"a message (tag {tag}) from " + ("anybody" if source is None else f"learner {source}")
    if kind == "collective":
        call = rest[0]
        missing = [rank for rank in call.members if rank not in call.parts]
        return f"{call.kind} of {len(call.members)} learners; not there: {', '.join(map(str, missing[:8]))}"
    if kind == "send":
        return f"learner {rest[0]} to take its messages"
    if kind == "lock":
        return f"a lock that its activity '{rest[0]}' holds"
    if kind == "join":
        return f"its activity '{rest[0]}'"
    words = {"event": "an event of its own", "time": "time to pass", "store": "the shared store"}
    return words.get(kind, f"a {kind}")
