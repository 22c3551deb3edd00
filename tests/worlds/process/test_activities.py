"""Activities of a learner process: mutual exclusion, the order of their streams (played), failures."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import torch

from dasr.cuda import streams
from dasr.worlds.interface import GRADIENT_LOOP, Accounts
from dasr.worlds.process.activities import Activities, ProcessEvent, ProcessLock


class PlayedStreams:
    """A stream for each thread: what a thread puts on its own is only done once something waits for it."""

    def __init__(self) -> None:
        self.begun: dict[int, int] = {}  # thread -> operations that it put on its stream
        self.waited: list[tuple[int, int] | None] = []  # what each wait was for: (thread, operations)

    def put(self) -> None:
        self.begun[threading.get_ident()] = self.begun.get(threading.get_ident(), 0) + 1


class PlayedOrder(streams.StreamOrder):
    """A StreamOrder of those streams."""

    def __init__(self, played: PlayedStreams) -> None:
        self.played = played
        self.recorded: tuple[int, int] | None = None

    def wait(self) -> None:
        self.played.waited.append(self.recorded)

    def record(self) -> None:
        self.recorded = threading.get_ident(), self.played.begun.get(threading.get_ident(), 0)


def activities() -> Activities:
    return Activities(torch.device("cpu"), Accounts())


def in_threads(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_holder_of_the_lock_waits_for_all_that_the_last_holder_put_on_its_stream() -> None:
    lock, played, turns = ProcessLock(activities()), PlayedStreams(), list[int]()
    lock._order = PlayedOrder(played)

    def change() -> None:
        for _ in range(50):
            with lock:
                turns.append(threading.get_ident())
                played.put()
                played.put()

    in_threads(change, 3)
    assert len(turns) == 150 and played.waited[0] is None
    counts = dict.fromkeys(set(turns), 0)
    for thread, waited in zip(turns, played.waited[1:], strict=False):
        counts[thread] += 2
        assert waited == (thread, counts[thread])


@pytest.mark.parametrize("across_an_await", [False, True])
def test_one_activity_holds_the_lock_at_a_time(across_an_await: bool) -> None:
    here = activities()
    lock, inside, most = ProcessLock(here), 0, 0

    async def change() -> None:
        nonlocal inside, most
        for _ in range(20):
            if across_an_await:
                async with lock:
                    inside += 1
                    most = max(most, inside)
                    time.sleep(1e-4)
                    inside -= 1
            else:
                with lock:
                    inside += 1
                    most = max(most, inside)
                    time.sleep(1e-4)
                    inside -= 1

    async def main() -> None:
        others = [here.spawn(change(), f"other {number}") for number in range(2)]
        await change()
        for other in others:
            await other

    here.run(main())
    assert most == 1 and inside == 0


def test_a_failure_of_its_holder_releases_the_lock() -> None:
    lock = ProcessLock(activities())
    with pytest.raises(ValueError, match="inside"), lock:
        raise ValueError("inside")
    with lock:
        pass


def test_waiting_for_a_lock_ends_when_another_activity_has_failed() -> None:
    here = activities()
    lock = ProcessLock(here)

    async def hold_for_ever() -> None:
        lock.__enter__()
        raise ValueError("the holder failed")

    async def main() -> None:
        holding = here.spawn(hold_for_ever(), "holding")
        with pytest.raises(ValueError, match="the holder failed"):
            await holding
        async with lock:
            pass

    with pytest.raises(ValueError, match="the holder failed"):
        here.run(main())


def test_asking_an_event_orders_no_stream_and_waiting_for_it_does() -> None:
    here, played = activities(), PlayedStreams()
    event = ProcessEvent(here)
    event._order = PlayedOrder(played)
    assert not event.is_set()
    played.put()
    event.set()
    assert event.is_set() and not played.waited

    async def main() -> None:
        await event.wait()

    here.run(main())
    assert played.waited == [(threading.get_ident(), 1)]
    event.clear()
    assert not event.is_set()


def test_no_activity_takes_the_name_of_the_gradient_loop() -> None:
    async def nothing() -> None: ...

    activity = nothing()
    with pytest.raises(ValueError, match=GRADIENT_LOOP):
        activities().spawn(activity, GRADIENT_LOOP)
    activity.close()


def test_only_waiting_of_the_activity_that_computes_is_accounted() -> None:
    here = activities()
    event = ProcessEvent(here)

    async def wait_too() -> None:
        await event.wait()

    async def main() -> None:
        other = here.spawn(wait_too(), "other")
        time.sleep(0.05)
        event.set()
        assert here.accounts.wait_seconds == 0.0
        await other

    here.run(main())
    assert here.accounts.wait_seconds > 0.0
