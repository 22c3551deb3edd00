"""Time in which a process could run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasr.launch.active_clock import ActiveClock


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_a_clock_that_stands_still_while_its_process_does(pauses: list[float]) -> None:
    now = [5.0]
    awake = ActiveClock(often_s=2.0, now=lambda: now[0])
    for pause in pauses:
        now[0] += pause
        awake()
    assert awake() == pytest.approx(sum(min(pause, 2.0) for pause in pauses), abs=1e-6)
