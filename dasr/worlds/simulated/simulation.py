"""`Simulation`: all learners of a run in one process under a virtual clock.

    simulation = Simulation(presets.load("ethernet-10g"), learners=64, seed=0)
    results = simulation.run(lambda world: activity(world))      # one coroutine a learner, results by rank

Deterministic: the same seed gives the same bits. Gradients may be real, analytic, or (timing only) absent.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from typing import Any

import torch

from dasr.worlds.interface import GRADIENT_LOOP, PeerLost
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.compute_time import ComputeTime
from dasr.worlds.simulated.scheduler import SimulationError
from dasr.worlds.simulated.virtual_cluster import VirtualCluster
from dasr.worlds.simulated.world import SimulatedWorld


class LearnerLost(SimulationError):
    """A learner died and another, which needs it, stopped."""


class Simulation:
    """Learners 0..L-1 on `cluster`, each with a local batch of `samples`.

    `bytes_scale`: each element of a payload stands for so many (a small task in the place of a large model).
    `device`: where the learners compute; gradients that overlap in virtual time are computed side by side on
    a GPU. With `timing_only`, payloads are passed on without a copy and reductions leave their buffers alone;
    see `dasr.worlds.simulated.placeholder` for vectors that have a size and no values."""

    def __init__(
        self,
        cluster: Cluster,
        learners: int,
        *,
        seed: int = 0,
        samples: float = 1.0,
        bytes_scale: int = 1,
        timing_only: bool = False,
        device: str = "cpu",
    ) -> None:
        self.cluster = cluster
        self.seed = seed
        self.bytes_scale = bytes_scale
        self.timing_only = timing_only
        self.shared = VirtualCluster(cluster, learners, bytes_scale=bytes_scale, timing_only=timing_only)
        self.deaths = self.shared.deaths
        seconds = cluster.compute.seconds(samples)
        self.worlds = [
            SimulatedWorld(self.shared, rank, ComputeTime(cluster, rank, seconds, seed), torch.device(device))
            for rank in range(learners)
        ]

    @property
    def now(self) -> float:
        return self.shared.scheduler.now

    def run(self, main: Callable[[SimulatedWorld], Coroutine[Any, Any, Any]]) -> list[Any]:
        """Start `main(world)` on every learner, run all to the end. Results by rank (None of a dead learner).

        Raises LearnerLost, Deadlock, SimulationError, or whatever an activity raised."""
        scheduler = self.shared.scheduler
        activities = [scheduler.start(main(world), world.box.learner, GRADIENT_LOOP) for world in self.worlds]
        usual = gc.get_threshold()
        if self.timing_only:  # where there are values, what waits in a cycle may be a whole model
            gc.set_threshold(200_000, 20, 1000)  # hardly any cycles here, and a full collection visits all
        try:
            scheduler.run()
        except PeerLost as lost:
            when = f" at {self.deaths[lost.rank]:.6g} s" if lost.rank in self.deaths else ""
            what = "died" if lost.rank in self.deaths else "has finished"
            place = "; ".join(getattr(lost, "__notes__", []))
            raise LearnerLost(
                f"learner {lost.rank} {what}{when}, and another cannot go on without it ({place})"
            ) from lost
        finally:
            gc.set_threshold(*usual)
            for activity in list(scheduler.unfinished):
                activity.coroutine.close()
        return [activity.finished.value for activity in activities]
