"""What `compression:` may say."""

from __future__ import annotations

import pytest

from dasr.errors import UserError
from dasr.strategies.parts.compression import parse


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("topk2:0.1", "did you mean 'topk'"),
        ("topk:2", "the ratio must be above 0 and at most 1"),
        ("topk:nan", "the ratio must be above 0 and at most 1"),
        ("topk:x", "'x' is not a number"),
        ("powersgd:0", "a whole number from 1"),
        ("powersgd:1.5", "a whole number from 1"),
        ("powersgd:inf", "a whole number from 1"),
        ("bf16:3", "takes no number"),
        ("powersgd:4,star=3", "did you mean 'start'"),
        ("powersgd:4,start=-1", "whole number of steps"),
        ("powersgd:4,start=nan", "whole number of steps"),
        ("powersgd:4,saving=0.5", "saving must be at least 1"),
        ("powersgd:4,saving=nan", "saving must be at least 1"),
        ("sign,saving=2", "has no option 'saving' .known: start"),
        ("bf16,start=3", "has no option 'start' .known: none"),
    ],
)
def test_a_mistyped_compression_is_an_error_that_says_what_is_right(spec: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(spec)


def test_lossy_gradients_start_after_a_tenth_of_the_run_unless_a_step_is_given() -> None:
    assert parse("powersgd").start_of(556) == 56
    assert parse("powersgd,start=0").start_of(556) == 0
    assert parse("sign,start=1000").start_of(10**6) == 1000
    assert parse("bf16").start_of(556) == 0
