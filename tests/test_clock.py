"""The clock that others may replace."""

from __future__ import annotations

from dasr.clock import Clock
from tests.support.played_clock import PlayedClock


def test_the_real_one_passes_and_a_played_one_only_where_somebody_sleeps() -> None:
    real, played = Clock(), PlayedClock()
    assert real.now() <= real.now()
    before = played.clock.now()
    played.clock.sleep(2.5)
    assert played.clock.now() - before == 2.5
