"""Exceptions of learners: told apart by their line, told in one line, kept whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.launch.raised import Raised, keep_traceback, traceback_file


def fail(message: str) -> None:
    raise ValueError(message)


def caught(message: str) -> ValueError:
    with pytest.raises(ValueError) as error:
        fail(message)
    return error.value


def other() -> ValueError:
    with pytest.raises(ValueError) as error:
        raise ValueError("0x1")
    return error.value


def test_an_exception_is_the_same_though_its_message_holds_an_address() -> None:
    one, two = Raised.of(caught("0x1"), 3), Raised.of(caught("0x2"), 9)
    assert one.same_as(two)
    assert not one.same_as(Raised.of(other(), 3)), "raised by another line"


def test_what_is_told_says_kind_message_and_step_in_one_line() -> None:
    raised = Raised.of(caught("shapes differ\nand more"), 7)
    assert raised.in_one_line() == "raised ValueError: shapes differ at step 7"
    assert raised.in_full().splitlines()[0] == "and more"
    assert "in fail: raise ValueError(message)" in raised.in_full()


def test_an_exception_goes_through_the_store_as_text() -> None:
    raised = Raised.of(caught("x"), 7)
    assert Raised.from_json(raised.to_json()) == raised


def test_the_whole_stack_is_kept_in_a_file(tmp_path: Path) -> None:
    path = traceback_file(tmp_path, 2)
    keep_traceback(caught("x"), path)
    assert path.read_text().startswith("Traceback (most recent call last)")
