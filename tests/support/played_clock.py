"""A clock whose time passes only where somebody sleeps."""

from __future__ import annotations

from dasr.clock import Clock


class PlayedClock:
    def __init__(self) -> None:
        self.seconds = 0.0
        self.clock = Clock(lambda: self.seconds, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds
