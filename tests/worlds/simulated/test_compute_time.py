"""How long a gradient of a simulated learner takes."""

from __future__ import annotations

import pytest

from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute, Pause, Slow
from dasr.worlds.simulated.simulation import Simulation


def test_slow_periods_and_pauses_stretch_a_gradient_as_far_as_they_reach() -> None:
    slow = (Slow(0, 10.0, from_s=0.5, until_s=1.5),)  # of 1 s of work: 0.5, then 0.1 in a second, then 0.4
    cluster = Cluster(compute=Compute(fixed_s=1.0), slow=slow, pauses=(Pause(1, 0.25, 2.0),))

    async def activity(world: World) -> float:
        await world.compute(lambda ready: None)
        return world.now()

    assert Simulation(cluster, 3).run(activity) == pytest.approx([1.9, 3.0, 1.0])
