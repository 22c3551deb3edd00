"""What several activities of one learner read and change, one at a time."""

from __future__ import annotations

import threading
from types import TracebackType

from dasr.worlds.interface import World


class Guard:
    """A lock; on a GPU, where each activity has a stream of its own, also an order of what is on them."""

    def __init__(self, world: World):
        self._lock = threading.Lock()
        self._left = world.event()  # by the last who was inside

    def __enter__(self) -> None:
        self._lock.acquire()
        self._left.is_set()  # this activity's stream waits for what that one's has still to do

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        self._lock.release()
