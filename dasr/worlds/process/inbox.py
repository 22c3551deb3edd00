"""What has arrived at a learner process, and who is lost."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from dasr.worlds.interface import PeerLost
from dasr.worlds.process.wire import Message

T = TypeVar("T")


class Inbox:
    """What has arrived, by (source, tag), and who is lost."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.messages: dict[tuple[int, int], deque[tuple[int, Message]]] = {}
        self.count = 0  # arrivals so far: the order for receive_any
        self.lost: dict[int, int] = {}  # rank -> incarnation that died or left
        self.died: set[int] = set()  # those of them that died
        self.others = 0  # learners besides this one
        self.reported: set[tuple[int, int, int]] = (
            set()
        )  # (tag, rank, incarnation) that take_any has reported

    def put(self, source: int, tag: int, message: Message) -> None:
        with self.changed:
            self.count += 1
            self.messages.setdefault((source, tag), deque()).append((self.count, message))
            self.changed.notify_all()

    def wait(self, look: Callable[[], T | None], within_s: float) -> T | None:
        """What `look` (one of the takes) finds now, or after the next change within that time."""
        with self.changed:
            found = look()
            if found is None and self.changed.wait(within_s):
                found = look()
            return found

    def take(self, source: int, tag: int) -> Message | None:
        """The next of these, or None. Raises PeerLost. To be called with `changed` held."""
        waiting = self.messages.get((source, tag))
        if waiting:
            return waiting.popleft()[1]
        if source in self.lost:
            raise PeerLost(source)
        return None

    def take_any(self, tag: int) -> tuple[int, Message] | None:
        """The oldest message with this tag, and its sender; None if there is none.

        Raises PeerLost once for each sender that has died, and where all others are lost."""
        heads = [(q[0][0], source) for (source, its_tag), q in self.messages.items() if its_tag == tag and q]
        if heads:
            source = min(heads)[1]
            return source, self.messages[source, tag].popleft()[1]
        alone = len(self.lost) >= self.others
        for rank, incarnation in self.lost.items():
            if (alone or rank in self.died) and (tag, rank, incarnation) not in self.reported:
                self.reported.add((tag, rank, incarnation))
                raise PeerLost(rank)
        return None
