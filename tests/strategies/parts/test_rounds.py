"""Rounds: who is a member, who is joining, and how long a round lasts."""

from __future__ import annotations

import itertools

import pytest

from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.strategies.parts.rounds import Rounds
from dasr.strategies.parts.topology import Members
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import RollCall, World
from dasr.worlds.simulated.clusters import Cluster, Compute
from dasr.worlds.simulated.simulation import Simulation


def learner(world: World) -> Learner:
    task = Quadratic(batch=world.size, rank=world.rank, size=world.size)
    return Learner(world, task, Optimizer, lambda samples: 0.1, Budget(20, world.size, world.size))


def call(members: tuple[int, ...], number: int, lives: tuple[int, ...] = ()) -> RollCall:
    return RollCall(False, (1.0,), members, number, lives)


def test_a_replacement_is_joining_for_one_roll_call_and_a_lost_learner_is_no_member() -> None:
    async def life(world: World) -> list[Members]:
        rounds, seen = Rounds(learner(world)), []
        for one in (
            call((0, 1, 2), 0, (0, 0, 0)),
            call((0, 1, 2), 1, (0, 1, 0)),  # another process is learner 1
            call((0, 1, 2), 2, (0, 1, 0)),
            call((0, 2), 3, (0, 0)),
        ):
            rounds._meet(one)
            seen.append(rounds.members)
        return seen

    (seen,) = Simulation(Cluster(), 1).run(life)
    assert [one.ranks for one in seen] == [(0, 1, 2)] * 3 + [(0, 2)]
    assert [set(one.joining) for one in seen] == [set(), {1}, set(), set()]


def test_a_learner_that_comes_to_a_later_roll_call_is_joining_itself() -> None:
    async def life(world: World) -> Members:
        rounds = Rounds(learner(world))
        rounds._meet(call((0, 1), 7, (1, 0)))
        return rounds.members

    (members,) = Simulation(Cluster(), 1).run(life)
    assert set(members.joining) == {0}


@pytest.mark.parametrize("pace", [1.0, 3.0])
def test_a_round_lasts_as_many_gradients_of_the_fastest_as_asked(pace: float) -> None:
    began: list[float] = []

    async def life(world: World) -> None:
        mine = learner(world)
        rounds = Rounds(mine, pace, every=2)

        async def mix(round_: int, members: Members) -> None:
            if world.rank == 0 and not rounds.done:
                began.append(world.now())

        async with rounds.beside(mix):
            while await mine.claim_batch():
                await mine.step()

    Simulation(Cluster(compute=Compute(fixed_s=1.0)), 2).run(life)
    waits = [b - a for a, b in itertools.pairwise(began)]
    assert waits and min(waits) >= pace * 0.99
