"""A parameter server that is hosted by a learner."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies import registry
from dasr.strategies.ac_ps import Shard
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation
from tests.support import oracles, recursion_trial


@pytest.mark.parametrize("staleness_aware", [False, True])
def test_it_follows_its_recursion(staleness_aware: bool) -> None:
    options = {"staleness_aware": staleness_aware}
    recursion_trial.follows(
        "ac-ps", options, lambda size, steps: oracles.server(size, steps, staleness_aware)
    )


def test_the_learner_beside_a_server_waits_for_its_device_before_it_serves_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the others' answers would come after the gradients that its device has still to compute."""
    seen: list[str] = []
    serve = Shard.serve

    def observed(self: Shard, rank: int, update: Any) -> Any:
        seen.append(f"serve {rank}")
        return serve(self, rank, update)

    monkeypatch.setattr(Shard, "serve", observed)
    simulation = Simulation(Cluster(compute=Compute(fixed_s=1.0)), 3)

    async def life(world: World) -> None:
        device_synchronize = world.device_synchronize

        def noted() -> Awaitable[None]:
            seen.append("synchronized")
            return device_synchronize()

        world.device_synchronize = noted  # type: ignore[method-assign]
        task = Quadratic(7, batch=3, rank=world.rank, size=3)
        learner = Learner(world, task, Optimizer, lambda samples: 0.1, Budget(4, 3, 3))
        await registry.make("ac-ps", learner).run()

    simulation.run(life)
    own = [place for place, what in enumerate(seen) if what == "serve 0"]
    assert len(own) > 2 and all(seen[place - 1] == "synchronized" for place in own)
    assert seen.count("synchronized") == len(own)
