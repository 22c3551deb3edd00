"""Calls whose result nobody awaits, with the author's line."""

from __future__ import annotations

import gc
from typing import Any

from dasr.rehearsal.watched import Author, Forgotten, WatchedWorld

PATH = "/home/author/mine.py"
SOURCE = """
def call(world):
    return world.send()

async def step():
    return 1

def forget():
    step()
"""


class World:
    rank = 3

    async def send(self) -> str:
        return "sent"


def author_file(path: str = PATH) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(SOURCE, path, "exec"), names)
    return names


def watched(author: Author) -> Any:
    world: Any = World()
    return WatchedWorld(world, author)


def test_a_call_is_forgotten_until_it_is_awaited() -> None:
    author = Author(PATH)
    coming = author_file()["call"](watched(author))
    assert author.all_forgotten() == [Forgotten(3, "send")]
    waiting = coming.__await__()
    try:
        next(waiting)
    except StopIteration as end:
        assert end.value == "sent"
    assert author.all_forgotten() == []


def test_what_others_call_and_what_is_no_call_of_the_world_is_passed_on() -> None:
    author = Author(PATH)
    world = watched(author)
    coming = author_file("/elsewhere.py")["call"](world)
    coming.close()
    assert author.all_forgotten() == [] and world.rank == 3


def test_a_coroutine_of_the_file_that_nobody_awaits_is_named_with_its_line() -> None:
    author = Author(PATH)
    with author.coroutines():
        author_file()["forget"]()
        gc.collect()
    assert author.all_forgotten() == [Forgotten(9, "step")]
