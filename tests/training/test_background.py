"""One thread that writes, off the critical path."""

from __future__ import annotations

import threading

import pytest

from dasr.training.background import Background


def test_jobs_run_in_the_order_given_and_drain_waits_for_the_last() -> None:
    done: list[int] = []
    writer = Background()
    for number in range(20):
        writer.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    writer.drain()
    assert done == list(range(20))


def test_a_failure_is_raised_at_the_next_call_and_later_jobs_do_not_run() -> None:
    done: list[str] = []
    writer = Background()

    def fail() -> None:
        raise OSError("no space left")

    writer.submit(fail)
    with pytest.raises(OSError, match="no space left"):
        writer.drain()
    with pytest.raises(OSError, match="no space left"):
        writer.submit(lambda: done.append("later"))
    assert done == []


def test_submit_blocks_while_as_many_jobs_wait_as_may() -> None:
    writer, gate, submitted = Background(waiting=1), threading.Event(), threading.Event()
    writer.submit(gate.wait)  # type: ignore[arg-type]

    def more() -> None:
        for _ in range(2):
            writer.submit(lambda: None)
        submitted.set()

    thread = threading.Thread(target=more)
    thread.start()
    assert not submitted.wait(0.05)
    gate.set()
    thread.join()
    writer.drain()
    assert submitted.is_set()
