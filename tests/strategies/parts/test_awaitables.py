"""Awaitables that are not coroutines."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Awaitable
from typing import Any

from dasr.strategies.parts.awaitables import Completed, LazyAwaitable


def result(awaitable: Awaitable[Any]) -> Any:
    async def wait() -> Any:
        return await awaitable

    try:
        wait().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it suspended")


def test_a_completed_value_is_there_without_suspending() -> None:
    assert result(Completed(7)) == 7


def test_a_lazy_awaitable_begins_when_it_is_awaited_and_one_that_never_is_leaves_no_warning() -> None:
    begun: list[str] = []

    async def work() -> str:
        begun.append("begun")
        return "done"

    awaitable = LazyAwaitable(work)
    assert not begun
    assert result(awaitable) == "done" and begun == ["begun"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del awaitable
        LazyAwaitable(work)
        gc.collect()
