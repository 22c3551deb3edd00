"""What learner processes agree on through the shared store: counters, who is alive, roll calls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dasr.worlds.interface import PeerLost, RollCall
from dasr.worlds.process.authentication import SignedStore
from dasr.worlds.process.store_keys import dead_key, left_key, lost_key
from dasr.worlds.process.transport import incarnation_at

if TYPE_CHECKING:
    from dasr.worlds.process.transport import Transport

LAST_ROLL = "roll/last"  # the newest roll call that has been decided: where a replacement comes in
AGREED = "roll/agreed"  # there was one in which all said yes: whoever comes later is too late
LOOK_S = 1.0
LOOKS = 30  # at a result, in half a second, between two looks at who is lost


class StoreClient:
    """One learner's dealings with the store. It answers every roll call from the one after its arrival."""

    def __init__(self, transport: Transport, size: int) -> None:
        self.transport = transport
        self.size = size
        self._store = transport.store.clone()  # a waiting thread holds its connection
        self._signed = SignedStore(self._store, transport.secret)
        self._next = incarnation_at(transport.signed, LAST_ROLL)
        self._came_in = False  # it has answered a roll call
        self._looked = 0.0
        self._lock = threading.Lock()

    def count(self, name: str, amount: int) -> int:
        """Add to a shared counter; its value before."""
        return self.transport.store.add(f"count/{name}", amount) - amount

    def is_dead(self, rank: int) -> bool:
        """By what its connections or the supervisor say. A replacement is not dead."""
        store = self.transport.signed
        incarnation = self.transport.store.add(f"incarnation/{rank}", 0)
        if store.get(lost_key(rank)) is not None:
            return True
        return 0 < incarnation <= incarnation_at(store, dead_key(rank))

    def is_lost(self, rank: int) -> bool:
        """Dead, or finished."""
        incarnation = self.transport.store.add(f"incarnation/{rank}", 0)
        return self.is_dead(rank) or 0 < incarnation <= incarnation_at(self.transport.signed, left_key(rank))

    def find_lost(self, members: tuple[int, ...]) -> int | None:
        """A member that is lost, or None; one that died rather than one that left because of it."""
        others = [rank for rank in members if rank != self.transport.rank]
        for rank in others:
            self.transport.connection(rank)  # a dead one refuses it
        lost = [rank for rank in others if self.is_lost(rank)]
        # Who leaves because somebody died has said so before: to ask for the dead last misses none.
        dead = [rank for rank in others if self.is_dead(rank)] if lost else []
        return next(iter(dead + lost), None)

    def look(self) -> None:
        """Pass on to the inbox whom the supervisor has given up (no more than once a second)."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for rank in range(self.size):
            if (
                rank != self.transport.rank
                and rank not in self.transport.inbox.lost
                and self.transport.signed.get(lost_key(rank)) is not None
            ):
                self.transport.lose(rank, self.transport.store.add(f"incarnation/{rank}", 0))

    def answer(self, yes: bool, values: Sequence[float]) -> int:
        """Say yes or no to the next roll call; its number.

        Raises PeerLost where this learner replaces another and all others have said yes before it came: what
        they ask each other by now is something else."""
        if not self._came_in:
            self._came_in = True
            if self.transport.incarnation > 1 and self._signed.get(AGREED) is not None:
                raise PeerLost(self.transport.rank)
        with self._lock:
            number = self._next
            self._next += 1
        self._signed.set(f"roll/{number}/{self.transport.rank}", json.dumps([yes, values]))
        self._store.add(f"roll/{number}/here", 1)
        return number

    def result(self, number: int, check: Callable[[], None]) -> RollCall:
        """What all living learners agreed on: whoever sees first that all have answered writes it down.

        A replacement may come too late for its first one, and gets the next."""
        key = f"roll/{number}/result"
        while True:
            check()
            if (decided := self._signed.get(key)) is not None:
                unanimous, smallest, members, incarnations = json.loads(decided)
                if self.transport.rank not in members:  # it was decided while this learner was on its way
                    if unanimous or self.is_lost(self.transport.rank):
                        raise PeerLost(self.transport.rank)  # the others have gone on without it
                    said = self._signed.get(f"roll/{number}/{self.transport.rank}")
                    number = self.answer(*json.loads(said or "[]"))
                    key = f"roll/{number}/result"
                    continue
                for rank in members:
                    self.transport.revive(rank, self._store.add(f"incarnation/{rank}", 0))
                return RollCall(unanimous, tuple(smallest), tuple(members), number, tuple(incarnations))
            if not self._decide(number, key):
                self._wait_for(key)

    def _wait_for(self, key: str) -> None:
        """Until the key is there, or it is time to look who is lost. (The store's own wait() complains in
        the log.)"""
        for look in range(LOOKS):
            if self._store.check([key]):
                return
            time.sleep(min(1e-3 * 2**look, 0.02))

    def _decide(self, number: int, key: str) -> bool:
        """Write the result if all living learners have answered."""
        members, answers = [], []
        for rank in range(self.size):
            place = f"roll/{number}/{rank}"
            answer = self._signed.get(place)
            if rank != self.transport.rank and answer is None:
                self.transport.connection(rank)
            if self.is_lost(rank):
                if rank == self.transport.rank:
                    raise PeerLost(rank)  # the others have gone on without this learner
                continue
            if answer is None:
                return False
            members.append(rank)
            answers.append(json.loads(answer))
        incarnations = [self._store.add(f"incarnation/{rank}", 0) for rank in members]
        smallest = [min(column) for column in zip(*(values for _, values in answers), strict=True)]
        decided = [all(yes for yes, _ in answers), smallest, members, incarnations]
        self._signed.set_once(key, json.dumps(decided))
        if decided[0]:
            self._signed.set_once(AGREED, str(number))
        self._signed.set(LAST_ROLL, str(number + 1))
        return True
