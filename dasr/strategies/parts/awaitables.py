"""Awaitables that are not coroutines."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LazyAwaitable(Generic[T]):
    """Its coroutine is made when it is awaited, so one that is never awaited leaves no warning behind."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]):
        self.make = make

    def __await__(self) -> Generator[Any, Any, T]:
        return self.make().__await__()


class Completed(Generic[T]):
    """A value that is there already."""

    def __init__(self, value: T):
        self.value = value

    def __await__(self) -> Generator[Any, Any, T]:
        return self.value
        yield  # makes this a generator; never reached
