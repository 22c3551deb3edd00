"""The mixing rounds that the mixing activities of all learners go through in the same order.

Partners follow from the round's number, so nobody waits for somebody who waits for a third. Every few
rounds a roll call decides, the same for everybody: has everyone done its share? who is alive? how fast is
the fastest gradient? Mixing goes on until the *whole run's* budget is spent, else a slow learner's late
gradients would never spread.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from dasr.errors import UserError
from dasr.worlds.interface import RollCall, World

FIRST_PAUSE = 1e-3  # seconds between the first two roll calls, while nobody has finished a gradient
LONGER = 1.25  # times as long is each pause after it: mixing begins within a quarter of that time

Mix = Callable[[int, tuple[int, ...]], Awaitable[None]]


class Rounds:
    """One learner's way through the rounds. Its gradient loop sets `done` and `gradient_seconds`."""

    def __init__(self, world: World, pace: float = 1.0, every: int = 8):
        """`pace`: how long a round lasts at least, in gradients of the fastest learner.

        `every`: rounds between roll calls; more means fewer meetings, but a later reaction to a loss."""
        if pace <= 0:
            raise UserError(f"pace is {pace}: a round must last more than 0 gradients (1: one a gradient)")
        self.world, self.every, self.pace = world, every, float(pace)
        self.done = False
        self.gradient_seconds = math.inf  # of this learner's last gradient
        self.members: tuple[int, ...] = ()  # those at the last roll call
        self.incarnations: dict[int, int] = {}  # which process each of them was
        self.last_incarnations: tuple[int, ...] = ()  # the same as the roll call gave it
        self.called = world.event()  # there was a roll call
        self.joining: frozenset[int] = frozenset()  # members whose models the others' are not mixed with yet

    async def begin(self, mix: Mix) -> Awaitable[None]:
        """Start the rounds, and wait until all learners are there; gives what ends with the last round.

        Who began alone would mix with nobody, and could spend a short run's budget before the last learner
        has started."""
        mixing = self.world.spawn(self.run(mix), "mixing")
        await self.called.wait()
        return mixing

    async def run(self, mix: Mix) -> None:
        """Call `mix(round, members)` until every living learner is done."""
        world, pause = self.world, FIRST_PAUSE
        while True:
            call = await world.roll_call(self.done, self.gradient_seconds)
            self._meet(call)
            if call.unanimous:
                return
            (fastest,) = call.smallest
            if math.isinf(fastest):  # no gradient yet: all models are equal, there is nothing to mix
                await world.sleep(pause)
                pause *= LONGER
                continue
            for turn in range(self.every):
                began = world.now()
                await mix(call.number * self.every + turn, call.members)
                if not self.done:
                    await world.sleep(max(0.0, began + self.pace * fastest - world.now()))

    def _meet(self, call: RollCall) -> None:
        """A lost learner's replacement is joining until the next roll call, on itself and on all others."""
        if (
            call.members is self.members and call.lives == self.last_incarnations
        ):  # nothing new, as nearly always
            self.joining = frozenset()
            self.called.set()
            return
        self.last_incarnations = call.lives
        incarnations = dict(zip(call.members, call.lives or (0,) * len(call.members), strict=True))
        if self.members:
            known = {rank for rank, life in incarnations.items() if self.incarnations.get(rank) == life}
        else:
            known = set(call.members) - ({self.world.rank} if call.number else set())
        self.joining = frozenset(call.members) - known
        self.members, self.incarnations = call.members, incarnations
        self.called.set()

    async def without(self, lost: set[int]) -> tuple[int, ...]:
        """The members at the first roll call that knows that `lost` are lost."""
        while not self.members or lost & set(self.members):
            self.called.clear()
            await self.called.wait()
        return self.members
