"""Point-to-point messages of the simulation, matched by (source, tag) in the order in which they were sent.

As in `ProcessWorld`, bytes move as soon as they are sent and wait at the receiver until they are asked for.
"""

from __future__ import annotations

from collections import deque

from dasr.worlds.interface import Payload, PeerLost
from dasr.worlds.simulated.network import Network
from dasr.worlds.simulated.scheduler import Future, Scheduler, SimulatedLearner

WINDOW = (
    4  # messages under way from one learner to another; the next `await send` waits for the first to arrive
)


class Message:
    """One payload in flight, or waiting at its receiver."""

    __slots__ = ("payload", "source", "tag", "taken", "to")

    def __init__(self, source: Mailbox, to: Mailbox, tag: int, payload: Payload) -> None:
        self.source = source
        self.to = to
        self.tag = tag
        self.payload = payload
        self.taken = False


class Mailbox:
    """A learner's post: what has arrived, and what it waits for."""

    def __init__(self, learner: SimulatedLearner) -> None:
        self.learner = learner
        self.rank = learner.rank
        self.gone_at: float | None = None  # when others notice that it died or left
        self.under_way: dict[int, int] = {}  # messages to a rank that have not arrived
        self.blocked: dict[int, deque[Future]] = {}  # senders over the window, by receiver
        self.arrived: dict[tuple[int, int], deque[Message]] = {}
        self.wanted: dict[tuple[int, int], deque[Future]] = {}
        self.arrived_of_tag: dict[
            int, deque[Message]
        ] = {}  # also holds taken ones, swept when a new one comes
        self.wanted_from_any: dict[int, deque[Future]] = {}
        self.waited_for_by: set[Mailbox] = (
            set()
        )  # who may want something of this learner, or be blocked by it
        self.computes_until = 0.0  # when its last gradient is done, if nothing holds it up
        self.reported: set[tuple[int, int]] = (
            set()
        )  # (tag, rank): receive_any has reported this learner's loss


class MessageQueue:
    """All mailboxes and the matching between them."""

    def __init__(self, scheduler: Scheduler, network: Network, boxes: list[Mailbox]) -> None:
        self.scheduler = scheduler
        self.network = network
        self.boxes = boxes
        self.wait_for_any: set[Mailbox] = set()
        self.gone_boxes: list[Mailbox] = []
        self._taken = Future(("send", None))  # of every message that need not wait
        self._taken.done = True

    def send(self, source: int, to: int, tag: int, payload: Payload, size: float) -> Future:
        mine, its = self.boxes[source], self.boxes[to]
        now = self.scheduler.now
        sent = self._taken
        if its.gone_at is not None:
            sent = Future(("send", to))
            if now < its.gone_at:  # nobody knows yet: it vanishes
                self.scheduler.complete(sent)
            else:
                self.scheduler.fail(sent, PeerLost(to))
            return sent
        count = mine.under_way[to] = mine.under_way.get(to, 0) + 1
        if count > WINDOW:
            sent = Future(("send", to))
            mine.blocked.setdefault(to, deque()).append(sent)
            its.waited_for_by.add(mine)
        message = Message(mine, its, tag, payload)
        if (
            self.network.message_slowdown > 1.0
        ):  # who computes is known when all has happened that happens now
            self.scheduler.at(now, self._goes, (message, size))
        else:
            self.network.transfer(now, source, to, size, self._arrives, message)
        return sent

    def _goes(self, what: tuple[Message, float]) -> None:
        message, size = what
        source, to = message.source, message.to
        computing = max(source.computes_until, to.computes_until) - self.scheduler.now
        if computing > 0.0:
            size += self.network.extra(source.rank, to.rank, size, computing)
        self.network.transfer(self.scheduler.now, source.rank, to.rank, size, self._arrives, message)

    def _arrives(self, message: Message) -> None:
        mine, its, tag = message.source, message.to, message.tag
        mine.under_way[its.rank] -= 1
        if mine.blocked:
            waiting = mine.blocked.get(its.rank)
            if waiting:
                self.scheduler.complete(waiting.popleft())
        if not mine.learner.alive:  # it died with the message half sent
            return
        key = (mine.rank, tag)
        wanted = its.wanted.get(key)
        if wanted:
            self.scheduler.complete(wanted.popleft(), message.payload)
            return
        wanted = its.wanted_from_any.get(tag)
        if wanted:
            self.scheduler.complete(wanted.popleft(), (mine.rank, message.payload))
            return
        its.arrived.setdefault(key, deque()).append(message)
        queue = its.arrived_of_tag.setdefault(tag, deque())
        while queue and queue[0].taken:
            queue.popleft()
        queue.append(message)

    def receive(self, rank: int, source: int, tag: int) -> Future:
        mine, its = self.boxes[rank], self.boxes[source]
        future = Future(("receive", source, tag))
        arrived = mine.arrived.get((source, tag))
        if arrived:
            message = arrived.popleft()
            message.taken = True
            self.scheduler.complete(future, message.payload)
        elif its.gone_at is not None and not (its.learner.alive and its.under_way.get(rank)):
            self._fail_at(its.gone_at, future, source)
        else:
            mine.wanted.setdefault((source, tag), deque()).append(future)
            its.waited_for_by.add(mine)
        return future

    def receive_any(self, rank: int, tag: int) -> Future:
        mine = self.boxes[rank]
        future = Future(("receive", None, tag))
        queue = mine.arrived_of_tag.get(tag)
        while queue:
            message = queue.popleft()
            if not message.taken:
                message.taken = True
                mine.arrived[
                    message.source.rank, tag
                ].popleft()  # the oldest of its source is the oldest of all
                self.scheduler.complete(future, (message.source.rank, message.payload))
                return future
        if self.gone_boxes and self._tell(mine, tag, future):
            return future
        mine.wanted_from_any.setdefault(tag, deque()).append(future)
        self.wait_for_any.add(mine)
        return future

    def gone(self, box: Mailbox, noticed: float) -> None:
        """`box` died or left. Whoever waits for it gets PeerLost, once all that it has sent is there."""
        rank = box.rank
        box.gone_at = noticed
        self.gone_boxes.append(box)
        concerned = box.waited_for_by | self.wait_for_any
        for mine in sorted(concerned, key=lambda one: one.rank):
            for future in mine.blocked.pop(rank, ()):
                self._fail_at(noticed, future, rank)
            if box.learner.alive and box.under_way.get(mine.rank):
                self.scheduler.at(max(noticed, self.scheduler.now), self._nothing_more, (mine, box))
            else:
                self._nothing_more((mine, box))

    def _nothing_more(self, pair: tuple[Mailbox, Mailbox]) -> None:
        mine, gone = pair
        rank = gone.rank
        if gone.learner.alive and gone.under_way.get(
            mine.rank
        ):  # it left, and its last messages are on the wire
            self.scheduler.at(self.scheduler.now + 1e-3, self._nothing_more, pair)
            return
        noticed = gone.gone_at or 0.0
        for (source, _), wanted in mine.wanted.items():
            while source == rank and wanted:
                self._fail_at(noticed, wanted.popleft(), rank)
        for tag, waiting in mine.wanted_from_any.items():
            if waiting and self._tell(mine, tag, waiting[0]):
                waiting.popleft()

    def _tell(self, mine: Mailbox, tag: int, future: Future) -> bool:
        """receive_any reports each learner that died, once a tag; one that left only when nothing more can
        come."""
        alone = len(self.gone_boxes) >= len(self.boxes) - 1
        alone = alone and not any(b.learner.alive and b.under_way.get(mine.rank) for b in self.gone_boxes)
        for lost in self.gone_boxes:
            known = (tag, lost.rank) in mine.reported or lost is mine
            if not known and (alone or not lost.learner.alive):
                mine.reported.add((tag, lost.rank))
                self._fail_at(lost.gone_at or 0.0, future, lost.rank)
                return True
        return False

    def _fail_at(self, time: float, future: Future, rank: int) -> None:
        if time <= self.scheduler.now:
            self.scheduler.fail(future, PeerLost(rank))
        else:
            self.scheduler.at(time, self._fail, (future, rank))

    def _fail(self, what: tuple[Future, int]) -> None:
        self.scheduler.fail(what[0], PeerLost(what[1]))
