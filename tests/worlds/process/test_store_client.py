"""Roll calls of real learners: who comes in between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from dasr.worlds.interface import PeerLost, RollCall
from dasr.worlds.process.world import ProcessWorld, connect


@pytest.fixture
def worlds() -> Iterator[list[ProcessWorld]]:
    store = TCPStore("127.0.0.1", 0, 1, is_master=True, wait_for_workers=False)
    made = [connect(PrefixStore("run", store), rank, 2) for rank in range(2)]
    yield made
    for world in made:
        world.close()


def decided_without(world: ProcessWorld, rank: int) -> None:
    """Roll call 0 is over, as the other saw it while `rank` was being replaced."""
    world.transport.signed.set("roll/0/result", json.dumps([False, [1.0], [1 - rank], [1]]))


def test_a_replacement_that_comes_too_late_for_a_roll_call_answers_the_next(
    worlds: list[ProcessWorld],
) -> None:
    decided_without(worlds[0], 1)

    async def early() -> list[RollCall]:
        return [await worlds[0].roll_call(False, 3.0), await worlds[0].roll_call(False, 4.0)]

    async def late() -> RollCall:
        return await worlds[1].roll_call(False, 2.0)

    with ThreadPoolExecutor() as threads:
        first, second = threads.submit(worlds[0].run, early()), threads.submit(worlds[1].run, late())
        try:
            mine = second.result()
            (before, after) = first.result()
        finally:
            worlds[0].activities.failure = RuntimeError("the test is over")  # ends what would wait for ever
    assert (before.number, before.members) == (0, (0,))
    assert after == mine and (mine.number, mine.members, mine.smallest) == (1, (0, 1), (2.0,))


def test_a_learner_that_was_given_up_gets_an_error_that_says_so(worlds: list[ProcessWorld]) -> None:
    decided_without(worlds[0], 1)
    worlds[1].transport.signed.set("lost/1", "1")

    async def late() -> RollCall:
        return await worlds[1].roll_call(False, 2.0)

    with pytest.raises(PeerLost):
        worlds[1].run(late())


@pytest.mark.parametrize("connects", ["before", "after"])
def test_a_replacement_that_comes_after_all_have_agreed_learns_it_and_spoils_nothing(
    worlds: list[ProcessWorld], connects: str
) -> None:
    """The others answer another question by now, with another number of values."""
    store, signed = worlds[0].transport.store, worlds[0].transport.signed
    if connects == "before":
        replacement = connect(store, 1, 2)
    signed.set("roll/0/result", json.dumps([True, [1.0], [0], [1]]))
    if connects == "after":
        signed.set("roll/agreed", "0")
        signed.set("roll/last", "1")
        replacement = connect(store, 1, 2)

    async def join() -> RollCall:
        return await replacement.roll_call(False, 2.0)

    with pytest.raises(PeerLost) as lost:
        replacement.run(join())
    assert lost.value.rank == 1
    assert not store.check(["roll/1/1"]), "it has answered nothing that the others ask"
    replacement.close()


def test_a_unanimous_roll_call_is_kept_for_replacements(worlds: list[ProcessWorld]) -> None:
    async def ask(world: ProcessWorld, yes: bool) -> RollCall:
        return await world.roll_call(yes)

    for yes in (False, True):
        with ThreadPoolExecutor() as threads:
            calls = [threads.submit(world.run, ask(world, yes)) for world in worlds]
        assert [call.result().unanimous for call in calls] == [yes, yes]
        assert (worlds[0].transport.signed.get("roll/agreed") == "1") == yes
