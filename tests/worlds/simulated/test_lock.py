"""World.lock() in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.worlds.interface import GRADIENT_LOOP
from dasr.worlds.simulated.clusters import Cluster
from dasr.worlds.simulated.scheduler import Deadlock, SimulationError
from dasr.worlds.simulated.simulation import Simulation
from dasr.worlds.simulated.world import SimulatedWorld


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=4))
def test_one_activity_holds_the_lock_at_a_time_for_any_timing(lives: list[list[int]]) -> None:
    """Each activity holds it for some seconds, again and again; none is forgotten."""
    inside, held = list[str](), list[float]()

    async def main(world: SimulatedWorld) -> None:
        lock = world.lock()

        async def live(name: str, seconds: list[int]) -> None:
            for duration in seconds:
                async with lock:
                    inside.append(name)
                    await world.sleep(float(duration))
                    assert inside == [name]
                    inside.clear()
                    held.append(duration)
                await world.sleep(0.5)

        others = [world.spawn(live(str(number), life), str(number)) for number, life in enumerate(lives)]
        for other in others:
            await other
        with lock:
            pass

    simulation = Simulation(Cluster(), 1)
    simulation.run(main)
    assert sorted(held) == sorted(duration for life in lives for duration in life)
    assert simulation.now >= sum(held)


def test_a_body_without_await_cannot_wait_for_one_that_holds_the_lock_over_an_await() -> None:
    async def main(world: SimulatedWorld) -> None:
        lock = world.lock()

        async def hold() -> None:
            async with lock:
                await world.sleep(2.0)

        holding = world.spawn(hold(), "mixing")
        await world.sleep(1.0)
        with pytest.raises(SimulationError, match=r"'mixing' holds it over an await: use `async with"), lock:
            pass
        await holding
        with lock:
            pass

    Simulation(Cluster(), 1).run(main)


def test_a_failure_of_its_holder_releases_the_lock() -> None:
    async def main(world: SimulatedWorld) -> None:
        lock = world.lock()
        with pytest.raises(ValueError, match="inside"):
            async with lock:
                raise ValueError("inside")
        async with lock:
            pass

    Simulation(Cluster(), 1).run(main)


def test_a_deadlock_names_who_holds_the_lock() -> None:
    async def main(world: SimulatedWorld) -> None:
        lock = world.lock()

        async def hold_for_ever() -> None:
            async with lock:
                await world.event().wait()

        holding = world.spawn(hold_for_ever(), "holding")
        await world.sleep(1.0)
        async with lock:
            await holding

    with pytest.raises(Deadlock, match="a lock that its activity 'holding' holds"):
        Simulation(Cluster(), 1).run(main)


def test_no_activity_takes_the_name_of_the_gradient_loop() -> None:
    async def main(world: SimulatedWorld) -> None:
        other = world.device_synchronize()
        with pytest.raises(ValueError, match=GRADIENT_LOOP):
            world.spawn(other, GRADIENT_LOOP)  # type: ignore[arg-type]

    Simulation(Cluster(), 1).run(main)
