"""`VirtualCluster`: the clock, the network and the store that the learners of a simulation share."""

from __future__ import annotations

from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.collectives import SimulatedCollectives
from dasr.worlds.simulated.messages import Mailbox, MessageQueue
from dasr.worlds.simulated.network import Network, store_seconds
from dasr.worlds.simulated.scheduler import Scheduler, SimulatedLearner


class VirtualCluster:
    """A cluster at work, with the pauses and deaths of its description. `bytes_scale`: each element of a
    payload stands for so many. `timing_only`: payloads are passed on without a copy, and reductions leave
    their buffers alone."""

    def __init__(
        self, description: Cluster, learners: int, *, bytes_scale: int = 1, timing_only: bool = False
    ) -> None:
        self.description = description
        self.size = learners
        self.bytes_scale = bytes_scale
        self.timing_only = timing_only
        self.scheduler = Scheduler(self._left)
        self.network = Network(description, learners, self.scheduler.at)
        self.boxes = [Mailbox(SimulatedLearner(rank)) for rank in range(learners)]
        self.post = MessageQueue(self.scheduler, self.network, self.boxes)
        self.collectives = SimulatedCollectives(self.scheduler, self.network, self.boxes, timing_only)
        self.counters: dict[str, int] = {}
        self.store_s = store_seconds(description)
        busy_us = description.store_busy_us
        self.store_busy_s = None if busy_us is None else busy_us * 1e-6
        for pause in description.pauses:
            if pause.rank < learners:
                learner = self.boxes[pause.rank].learner
                self.scheduler.at(pause.at_s, self.scheduler.pause, learner)
                self.scheduler.at(pause.at_s + pause.seconds, self.scheduler.unpause, learner)
        for death in description.deaths:
            if death.rank < learners:
                self.scheduler.at(death.at_s, self._die, self.boxes[death.rank])
        self.deaths: dict[int, float] = {}  # rank -> seconds

    def _die(self, box: Mailbox) -> None:
        if box.gone_at is None:
            self.deaths[box.learner.rank] = self.scheduler.now
            self.scheduler.stop(box.learner)
            self._gone(box, self.scheduler.now + self.description.detect_s)

    def _left(self, learner: SimulatedLearner) -> None:
        box = self.boxes[learner.rank]
        if box.gone_at is None:
            self._gone(box, self.scheduler.now)

    def _gone(self, box: Mailbox, noticed: float) -> None:
        self.post.gone(box, noticed)
        self.collectives.gone(box, noticed)
