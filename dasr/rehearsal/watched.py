"""What the author of a strategy calls and forgets to await, found while learners run in virtual time.

Coroutines that are never awaited are reported by Python itself, with the line that made them; awaitables
of the world are watched here.
"""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import Any, NamedTuple

from dasr.worlds.simulated.world import SimulatedWorld

DEPTH = 8  # frames that Python keeps of where a coroutine was made
FRAME = re.compile(r'File "(.+)", line (\d+), in ')
CALL = re.compile(r"coroutine '([^']+)' was never awaited")
CALLS = {"all_gather", "all_reduce", "compute", "count", "device_synchronize", "exchange", "receive"}
CALLS |= {"receive_any", "roll_call", "send", "sleep", "spawn"}


class Forgotten(NamedTuple):
    """A call whose result nobody awaited."""

    line: int
    call: str


class Author:
    """The file that is watched, and what its code forgot to await."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pending: dict[int, Forgotten] = {}  # by a number of the call
        self.forgotten: set[Forgotten] = set()
        self._calls = 0

    def calling(self, line: int, call: str) -> int:
        """Note a call that has to be awaited. Returns its key in `pending`."""
        self._calls += 1
        self.pending[self._calls] = Forgotten(line, call)
        return self._calls

    def all_forgotten(self) -> list[Forgotten]:
        return sorted({*self.forgotten, *self.pending.values()})

    @contextlib.contextmanager
    def coroutines(self) -> Iterator[None]:
        """Collects coroutines that the file makes in this block and never awaits."""
        before = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(DEPTH)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                yield
            finally:
                sys.set_coroutine_origin_tracking_depth(before)
                for one in said:
                    self._read(str(one.message))

    def _read(self, warning: str) -> None:
        if call := CALL.match(warning):
            lines = [int(line) for path, line in FRAME.findall(warning) if path == self.path]
            self.forgotten.update(Forgotten(line, call[1].rpartition(".")[2]) for line in lines[-1:])


class Watched:
    """An awaitable of the world that the author asked for."""

    def __init__(self, inner: Awaitable[Any], author: Author, number: int) -> None:
        self._inner, self._author, self._number = inner, author, number

    def __await__(self) -> Generator[Any, None, Any]:
        self._author.pending.pop(self._number, None)
        return self._inner.__await__()


class WatchedWorld:
    """A SimulatedWorld that notes what the author's file asks of it; other callers see no difference."""

    def __init__(self, world: SimulatedWorld, author: Author) -> None:
        self._world, self._author = world, author

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._world, name)
        return self._watched(name, member) if name in CALLS else member

    def _watched(self, name: str, member: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        caller = sys._getframe(2)
        if caller.f_code.co_filename != self._author.path:
            return member

        def call(*arguments: Any, **options: Any) -> Awaitable[Any]:
            number = self._author.calling(caller.f_lineno, name)
            return Watched(member(*arguments, **options), self._author, number)

        return call
