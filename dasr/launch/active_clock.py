"""Time in which a process could run: deadlines must not pass while it and those it waits for are stopped."""

from __future__ import annotations

import time
from collections.abc import Callable


class ActiveClock:
    """A clock that stands still while its process does: stopped (Ctrl-Z, SIGSTOP), its job suspended
    (`scontrol suspend`, PreemptMode=SUSPEND), its container or virtual machine paused."""

    def __init__(self, often_s: float, now: Callable[[], float] = time.monotonic):
        """Who uses it asks at least every `often_s` seconds; what is longer was not this process' time."""
        self._often_s, self._now = often_s, now
        self._asked, self._seconds = now(), 0.0

    def __call__(self) -> float:
        """Seconds since it was made."""
        now = self._now()
        self._seconds += min(now - self._asked, self._often_s)
        self._asked = now
        return self._seconds
