"""Time to a target, against curves whose crossing is known."""

from __future__ import annotations

import pytest

from dasr.errors import UserError
from dasr.planning import target
from dasr.planning.target import Target


def test_the_crossing_lies_on_the_line_between_two_points() -> None:
    # 5.0 at 0 s, 3.0 at 10 s, 1.0 at 30 s: 2.5 is a quarter of the second piece after 10 s
    assert Target(2.5).reached([5.0, 3.0, 1.0], [0.0, 10.0, 30.0]) == pytest.approx(15.0)
    assert Target(3.0).reached([5.0, 3.0, 1.0], [0.0, 10.0, 30.0]) == pytest.approx(10.0)


def test_the_first_crossing_counts_where_the_loss_rises_again() -> None:
    assert Target(2.0).reached([3.0, 1.0, 4.0, 1.0], [0.0, 2.0, 4.0, 6.0]) == pytest.approx(1.0)


def test_a_target_never_reached_has_no_time_and_one_reached_at_the_start_has_the_starts() -> None:
    assert Target(0.5).reached([3.0, 1.0], [0.0, 2.0]) is None
    assert Target(0.5).reached([], []) is None
    assert Target(9.0).reached([3.0, 1.0], [7.0, 8.0]) == 7.0


@pytest.mark.parametrize("text", ["ce<=1.9", " ce <= 1.90 ", "ce<=1.9"])
def test_a_target_is_read(text: str) -> None:
    assert target.parse(text) == Target(1.9)


@pytest.mark.parametrize(
    ("text", "told"), [("wer<=8", "not simulated"), ("ce<2", "ce<=1.9"), ("ce<=-1", "ce<=1.9")]
)
def test_a_target_that_cannot_be_used_is_one_line(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        target.parse(text)
