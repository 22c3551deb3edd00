"""Items that a thread makes ahead."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from dasr.features.ahead import READY, Ahead


def nothing() -> None:
    """Before the first item."""


def test_items_come_in_their_order_from_one_other_thread() -> None:
    threads: list[threading.Thread] = []
    ahead = Ahead(iter(range(50)), lambda: threads.append(threading.current_thread()))
    assert [ahead.get() for _ in range(50)] == list(range(50))
    ahead.stop()
    assert len(threads) == 1 and threads[0] is not threading.current_thread()


def test_what_the_thread_raises_is_raised_where_the_item_is_taken() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("damaged")

    ahead = Ahead(items(), nothing)
    assert ahead.get() == 1
    with pytest.raises(RuntimeError, match="damaged"):
        ahead.get()


def test_no_more_items_are_made_than_are_ready_and_stop_ends_the_thread() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            made.append(number)
            yield number

    ahead = Ahead(items(), nothing)
    taken = [ahead.get() for _ in range(3)]
    ahead.stop()
    assert taken == [0, 1, 2]
    assert len(made) <= 3 + 2 * READY + 2  # what was ready, and what stop() took to end the thread
    assert not ahead._thread.is_alive()
