"""What several activities of a learner change is changed in one order, also on a GPU's streams (played)."""

from __future__ import annotations

import threading
from collections.abc import Awaitable

import pytest

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies import registry
from dasr.strategies.ac_ps import Shard
from dasr.strategies.parts.guard import Guard
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation


class Streams:
    """A world with a stream for each thread, and events on them: what a thread has put on its own is done
    only when something waits for it."""

    def __init__(self) -> None:
        self.begun: dict[int, int] = {}  # thread -> operations put on its stream
        self.recorded: tuple[int, int] | None = None
        self.waited: list[tuple[int, int] | None] = []

    def put(self) -> None:
        self.begun[threading.get_ident()] = self.begun.get(threading.get_ident(), 0) + 1

    def event(self) -> Streams:
        return self

    def set(self) -> None:
        self.recorded = threading.get_ident(), self.begun.get(threading.get_ident(), 0)

    def is_set(self) -> bool:
        self.waited.append(self.recorded)
        return self.recorded is not None


def test_who_comes_in_waits_for_all_that_the_last_one_put_on_its_stream() -> None:
    world = Streams()
    guard, turns = Guard(world), []  # type: ignore[arg-type]

    def change() -> None:
        for _ in range(50):
            with guard:
                turns.append(threading.get_ident())
                world.put()
                world.put()

    threads = [threading.Thread(target=change) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) == 150 and world.waited[0] is None
    counts = dict.fromkeys(set(turns), 0)
    for thread, waited in zip(turns, world.waited[1:], strict=False):
        counts[thread] += 2
        assert waited == (thread, counts[thread])


def test_a_failure_inside_leaves_the_guard_open() -> None:
    guard = Guard(Streams())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="inside"), guard:
        raise ValueError("inside")
    with guard:
        pass


def test_the_learner_beside_a_server_catches_up_before_it_serves_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the others' answers would come after the gradients that its device has still to compute."""
    seen: list[str] = []
    serve = Shard.serve
    monkeypatch.setattr(
        Shard,
        "serve",
        lambda self, rank, update: (seen.append(f"serve {rank}"), serve(self, rank, update))[1],
    )
    simulation = Simulation(Cluster(compute=Compute(fixed_s=1.0)), 3)

    async def life(world: World) -> None:
        device_synchronize = world.device_synchronize

        def noted() -> Awaitable[None]:
            seen.append("caught up")
            return device_synchronize()

        world.device_synchronize = noted  # type: ignore[method-assign]
        task = Quadratic(7, batch=3, rank=world.rank, size=3)
        learner = Learner(world, task, Optimizer, lambda samples: 0.1, Budget(4, 3, 3))
        await registry.make("ac-ps", learner).run()

    simulation.run(life)
    own = [place for place, what in enumerate(seen) if what == "serve 0"]
    assert len(own) > 2 and all(seen[place - 1] == "caught up" for place in own)
    assert seen.count("caught up") == len(own)
