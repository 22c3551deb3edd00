"""The mixing rounds that the mixing activities of all learners go through in the same order.

Partners follow from the round's number, so nobody waits for somebody who waits for a third. Every few
rounds a roll call decides, the same for everybody: has everyone done its share? who is alive? how fast is
the fastest gradient? Mixing goes on until the *whole run's* budget is spent, else a slow learner's late
gradients would never spread.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable

from dasr.strategies.internals import internals
from dasr.strategies.learner import Learner
from dasr.strategies.parts.topology import Members
from dasr.worlds.interface import RollCall

FIRST_PAUSE = 1e-3  # seconds between the first two roll calls, while nobody has finished a gradient
LONGER = 1.25  # times as long is each pause after it: mixing begins within a quarter of that time

Mix = Callable[[int, Members], Awaitable[None]]


class Rounds:
    """One learner's course through the rounds, in an activity beside its gradient loop."""

    def __init__(self, learner: Learner, pace: float = 1.0, every: int = 8):
        """`pace`: how long a round lasts at least, in gradients of the fastest learner.

        `every`: rounds between roll calls; more means fewer meetings, but a later reaction to a loss."""
        self.learner, self.world = internals(learner), learner.world
        self.every, self.pace = every, float(pace)
        self.done = False  # this learner makes no more gradients
        self.members = Members()  # those at the last roll call
        self.incarnations: dict[int, int] = {}  # how many processes each of them has been
        self.last_incarnations: tuple[int, ...] = ()  # the same as the last roll call gave it
        self.called = self.world.event()  # there was a roll call
        self.waits = 0  # calls of next_end()
        self.ended = self.world.event()  # a round ended that began after the last of them

    @contextlib.asynccontextmanager
    async def beside(self, mix: Mix) -> AsyncIterator[None]:
        """Call `mix(round, members)` in every round while the body runs, and then until all learners are
        done. The body begins when all learners are there.

        A learner that began alone would mix with nobody, and could spend a short run's budget before the
        last one has started."""
        mixing = self.world.spawn(self._run(mix), "mixing")
        await self.called.wait()
        yield
        self.done = True
        await mixing

    async def next_end(self) -> None:
        """Wait for the end of a round that began after this call."""
        self.waits += 1
        self.ended.clear()
        await self.ended.wait()

    async def _run(self, mix: Mix) -> None:
        world, pause = self.world, FIRST_PAUSE
        while True:
            call = await world.roll_call(self.done, self.learner.step_seconds)
            self._meet(call)
            if call.unanimous:
                return
            (fastest,) = call.smallest
            if math.isinf(fastest):  # no gradient yet: all models are equal, there is nothing to mix
                await world.sleep(pause)
                pause *= LONGER
                continue
            for turn in range(self.every):
                began, waits = world.now(), self.waits
                await mix(call.number * self.every + turn, self.members)
                if waits == self.waits:
                    self.ended.set()
                if not self.done:
                    await world.sleep(max(0.0, began + self.pace * fastest - world.now()))

    def _meet(self, call: RollCall) -> None:
        """A lost learner's replacement is joining until the next roll call, on itself and on all others."""
        ranks, joining = self.members.ranks, frozenset[int]()
        if call.members is not ranks or call.incarnations != self.last_incarnations:  # seldom
            incarnations = dict(zip(call.members, call.incarnations or (0,) * len(call.members), strict=True))
            if ranks:
                known = {rank for rank, count in incarnations.items() if self.incarnations.get(rank) == count}
            else:
                known = set(call.members) - ({self.world.rank} if call.number else set())
            joining = frozenset(call.members) - known
            self.incarnations, self.last_incarnations = incarnations, call.incarnations
        if call.members is not ranks or joining != self.members.joining:
            self.members = Members(call.members, joining)
        self.called.set()

    async def without(self, lost: set[int]) -> tuple[int, ...]:
        """The members at the first roll call that knows that `lost` are lost."""
        while not self.members.ranks or lost & set(self.members.ranks):
            self.called.clear()
            await self.called.wait()
        return self.members.ranks
