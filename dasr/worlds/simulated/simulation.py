"""`Simulation`: all learners of a run in one process under a virtual clock.

    simulation = Simulation(clusters.load("ethernet-10g"), learners=64, seed=0)
    results = simulation.run(lambda world: activity(world))      # one coroutine a learner, results by rank

Deterministic: the same seed gives the same bits. Gradients may be real, analytic, or (timing only) absent.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from typing import Any

from dasr.worlds.interface import GRADIENT_LOOP, PeerLost
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.collectives import SimulatedCollectives
from dasr.worlds.simulated.compute_time import ComputeTime
from dasr.worlds.simulated.messages import Mailbox, MessageQueue
from dasr.worlds.simulated.network import Network, store_seconds
from dasr.worlds.simulated.scheduler import Scheduler, SimulatedLearner, SimulationError
from dasr.worlds.simulated.world import SimulatedWorld


class LearnerLost(SimulationError):
    """A learner died and another, which needs it, stopped."""


class Simulation:
    """Learners 0..L-1 on `cluster`, each with a local batch of `samples`.

    `bytes_scale`: each element of a payload stands for so many (a small task in the place of a large model).
    With `timing_only`, payloads are passed on without a copy and reductions leave their buffers alone; see
    `dasr.worlds.simulated.placeholder` for vectors that have a size and no values."""

    def __init__(
        self,
        cluster: Cluster,
        learners: int,
        *,
        seed: int = 0,
        samples: float = 1.0,
        bytes_scale: int = 1,
        timing_only: bool = False,
    ) -> None:
        self.cluster = cluster
        self.size = learners
        self.seed = seed
        self.bytes_scale = bytes_scale
        self.timing_only = timing_only
        self.scheduler = Scheduler(self._left)
        self.network = Network(cluster, learners, self.scheduler.at)
        self.boxes = [Mailbox(SimulatedLearner(rank)) for rank in range(learners)]
        self.post = MessageQueue(self.scheduler, self.network, self.boxes)
        self.collectives = SimulatedCollectives(self.scheduler, self.network, self.boxes, timing_only)
        self.counters: dict[str, int] = {}
        self.store_s = store_seconds(cluster)
        self.store_busy_s = None if cluster.store_busy_us is None else cluster.store_busy_us * 1e-6
        seconds = cluster.compute.seconds(samples)
        self.worlds = [
            SimulatedWorld(self, rank, ComputeTime(cluster, rank, seconds, seed)) for rank in range(learners)
        ]
        for pause in cluster.pauses:
            if pause.rank < learners:
                self.scheduler.at(pause.at_s, self._pause, self.boxes[pause.rank].learner)
                self.scheduler.at(pause.at_s + pause.seconds, self._unpause, self.boxes[pause.rank].learner)
        for death in cluster.deaths:
            if death.rank < learners:
                self.scheduler.at(death.at_s, self._die, self.boxes[death.rank])
        self.deaths: dict[int, float] = {}

    @property
    def now(self) -> float:
        return self.scheduler.now

    def run(self, main: Callable[[SimulatedWorld], Coroutine[Any, Any, Any]]) -> list[Any]:
        """Start `main(world)` on every learner, run all to the end. Results by rank (None of a dead learner).

        Raises LearnerLost, Deadlock, SimulationError, or whatever an activity raised."""
        activities = [
            self.scheduler.start(main(world), world.box.learner, GRADIENT_LOOP) for world in self.worlds
        ]
        usual = gc.get_threshold()
        if self.timing_only:  # where there are values, what waits in a cycle may be a whole model
            gc.set_threshold(200_000, 20, 1000)  # hardly any cycles here, and a full collection visits all
        try:
            self.scheduler.run()
        except PeerLost as lost:
            when = f" at {self.deaths[lost.rank]:.6g} s" if lost.rank in self.deaths else ""
            what = "died" if lost.rank in self.deaths else "has finished"
            place = "; ".join(getattr(lost, "__notes__", []))
            raise LearnerLost(
                f"learner {lost.rank} {what}{when}, and another cannot go on without it ({place})"
            ) from lost
        finally:
            gc.set_threshold(*usual)
            for activity in list(self.scheduler.unfinished):
                activity.coroutine.close()
        return [activity.finished.value for activity in activities]

    def _pause(self, learner: SimulatedLearner) -> None:
        self.scheduler.pause(learner)

    def _unpause(self, learner: SimulatedLearner) -> None:
        self.scheduler.unpause(learner)

    def _die(self, box: Mailbox) -> None:
        if box.gone_at is None:
            self.deaths[box.learner.rank] = self.now
            self.scheduler.stop(box.learner)
            self._gone(box, self.now + self.cluster.detect_s)

    def _left(self, learner: SimulatedLearner) -> None:
        box = self.boxes[learner.rank]
        if box.gone_at is None:
            self._gone(box, self.now)

    def _gone(self, box: Mailbox, noticed: float) -> None:
        self.post.gone(box, noticed)
        self.collectives.gone(box, noticed)
