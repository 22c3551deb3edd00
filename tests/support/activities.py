"""What learners of the tests do: each is one text for both worlds."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import torch

from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.strategies import registry
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import PeerLost, World


async def everything(world: World) -> dict[str, Any]:
    """One of each kind of communication; the results hold for any number of learners."""
    rank, size = world.rank, world.size
    left, right = (rank - 1) % size, (rank + 1) % size
    mean = await world.all_reduce(torch.full((5,), float(rank)))
    total = await world.all_reduce(torch.full((3,), float(rank), dtype=torch.float64), op="sum")
    gathered = await world.all_gather((torch.tensor([rank]), torch.tensor([0.5 * rank], dtype=torch.float16)))
    await world.send((torch.tensor([float(rank)]),), right, tag=7)
    await world.send((torch.tensor([float(rank) + 100]), torch.zeros(2, 0, dtype=torch.bool)), right, tag=8)
    second, empty = await world.receive(left, tag=8)
    (first,) = await world.receive(left, tag=7)
    assert empty.shape == (2, 0) and empty.dtype == torch.bool
    (swapped,) = await world.exchange((torch.tensor([rank, -rank]),), right if rank % 2 == 0 else left, tag=1)
    sources = []
    if rank == 0:
        for _ in range(size - 1):
            source, (number,) = await world.receive_any(tag=3)
            assert number.item() == 10.0 * source
            sources.append(source)
    else:
        await world.send((torch.tensor([10.0 * rank]),), 0, tag=3)
    counts = [await world.count("budget", 1) for _ in range(5)]
    roll = await world.roll_call(rank != 1, float(-rank), float(rank))
    return {
        "mean": mean.tolist(),
        "total": total.tolist(),
        "gathered": [[part.item() for part in parts] for parts in gathered],
        "received": [first.item(), second.item()],
        "swapped": swapped.tolist(),
        "sources": sorted(sources),
        "counts": counts,
        "roll": (roll.unanimous, roll.smallest, roll.members),
        "messages": world.accounts.messages,
        "bytes": world.accounts.bytes_sent,
    }


async def two_activities(world: World) -> list[float]:
    """A mixing activity beside the gradient loop, collectives in both."""
    finished = world.event()
    seen = []

    async def mixing() -> None:
        buffer = torch.zeros(1)
        for turn in range(20):
            buffer += float(turn)
            await world.all_reduce(buffer, op="mean")
            seen.append(buffer.item())
        finished.set()

    joined = world.spawn(mixing(), "mixing")
    gradient = torch.zeros(4)

    def work(ready: Any) -> None:
        gradient.fill_(1.0 + world.rank)
        ready(gradient[2:])
        ready(gradient[:2])

    for _ in range(20):
        parts: list[Any] = []

        def ready(part: torch.Tensor, parts: list[Any] = parts) -> None:
            parts.append(world.all_reduce(part))

        await world.compute(work, ready)
        for part in parts:
            await part
    await finished.wait()
    await joined
    return [*gradient.tolist(), seen[-1]]


async def ring_of_survivors(world: World) -> tuple[list[int], tuple[int, ...]]:
    """Learner 2 is killed; the others notice, agree on who is left, and go on exchanging."""
    rank, size = world.rank, world.size
    lost = []
    if rank == 2:
        await world.exchange((torch.ones(1000),), 3)
        await world.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)
    if rank == 3:
        await world.exchange((torch.ones(1000),), 2)
    try:
        await world.receive(2, tag=5)
    except PeerLost as error:
        lost.append(error.rank)
    roll = await world.roll_call(True)
    for turn in range(30):
        at = roll.members.index(rank)
        right = roll.members[(at + 1) % len(roll.members)]
        left = roll.members[(at - 1) % len(roll.members)]
        await world.send((torch.full((1000,), float(turn)),), right)
        (got,) = await world.receive(left)
        assert got.sum().item() == 1000.0 * turn
    assert size == 4
    return lost, roll.members


async def all_reduce_without_one(world: World) -> str:
    """Learner 2 is killed in the middle of the run; a collective of all says so."""
    for turn in range(10):
        if world.rank == 2 and turn == 5:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
            await world.sleep(60)
        try:
            await world.all_reduce(torch.ones(100_000))
        except PeerLost as lost:
            return f"learner {lost.rank} is lost at turn {turn}"
    return "nobody is lost"


DETERMINISTIC = {"sc-allreduce": {}, "sd": {}, "bmuf": {"tau": 3}, "delay-by-one": {}}


async def trained(world: World, strategy: str) -> list[float]:
    """A learner's weights after ten steps of a strategy whose result does not depend on timing."""
    task = Quadratic(5, batch=world.size, rank=world.rank, size=world.size, seed=1)
    budget = Budget(10, world.size, world.size)
    learner = Learner(
        world, task, lambda weights: optimizer.make("sgd", weights), lambda samples: 0.1, budget
    )
    await registry.make(strategy, learner, **DETERMINISTIC[strategy]).run()
    weights: list[float] = learner.weights.tolist()
    return weights


async def waits_for_the_last(world: World) -> dict[str, tuple[float, float]]:
    """Each way to wait for learner 1, which comes 0.1 s late: seconds counted as waiting, seconds passed."""
    await world.compute(lambda ready: None)
    rank, one, spent = world.rank, torch.ones(1), {}

    async def receive() -> None:
        await (world.send((one,), 0) if rank == 1 else world.receive(1))

    ways: dict[str, Callable[[], Awaitable[Any]]] = {
        "exchange": lambda: world.exchange((one,), 1 - rank),
        "receive": receive,
        "all_reduce": lambda: world.all_reduce(one.clone(), (0, 1)),
        "all_gather": lambda: world.all_gather((one,), (0, 1)),
        "roll_call": lambda: world.roll_call(True),
    }
    for name, way in ways.items():
        await world.all_reduce(one.clone())
        before, began = world.accounts.wait_seconds, world.now()
        if rank == 1:
            await world.sleep(0.1)
        if rank < 2 or name == "roll_call":
            await way()
        spent[name] = world.accounts.wait_seconds - before, world.now() - began
    return spent


async def everything_in_turn(world: World) -> tuple[Any, ...]:
    """All of the above, in one set of processes."""
    first = await everything(world)
    second = await two_activities(world)
    third = {name: await trained(world, name) for name in DETERMINISTIC}
    return first, second, third, await waits_for_the_last(world)


def run_all(world: Any) -> Any:
    return world.run(everything_in_turn(world))


def run_ring_of_survivors(world: Any) -> Any:
    return world.run(ring_of_survivors(world))


def run_all_reduce_without_one(world: Any) -> Any:
    return world.run(all_reduce_without_one(world))


def fail_on_rank_one(world: Any) -> None:
    if world.rank == 1:
        raise RuntimeError("no such luck")
    world.run(everything(world))
