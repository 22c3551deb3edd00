"""Updates that learners of a host make together, a shard each, in played memory."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor
from torch.distributed import HashStore, PrefixStore  # type: ignore[attr-defined]

from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.strategies import registry
from dasr.strategies.h_ad import HAdPsgd
from dasr.strategies.sc_allreduce import ScAllReduce
from dasr.tasks.task import Quadratic
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.sharded_update import by_twos
from dasr.worlds.process.world import ProcessWorld, connect
from tests.support.played_memory import numbers, together


@pytest.mark.parametrize("learners", [2, 3, 5])
def test_each_updates_one_shard_of_every_part_once_all_have_sent_it(learners: int) -> None:
    """Learners come late in turn, and all hold the same bits before anybody goes on."""
    ranks = [3 + 2 * i for i in range(learners)]
    parts = [slice(700, 1003), slice(70, 700), slice(0, 70)]

    def life(memory: PeerMemory, rank: int) -> list[tuple[slice, Tensor]]:
        gradient, weights = (memory.region.symmetric_like(torch.empty(1003)) for _ in range(2))
        seen, made = list[tuple[slice, Tensor]](), list[slice]()
        assert memory.sharded_update(torch.empty(1003), weights, tuple(ranks)) is None  # not shared
        assert memory.sharded_update(gradient, weights, (*ranks, 99)) is None  # of another host

        def make(where: slice, everyone: Sequence[Tensor]) -> Tensor:
            assert len(everyone) == learners
            made.append(where)
            for vector in everyone:
                weights[where] -= vector
            return weights[where]

        for turn in range(12):
            shares = memory.sharded_update(gradient, weights, tuple(ranks))
            assert shares is not None
            sent = 0.0
            for part in parts:
                time.sleep(0.01 * (rank == ranks[turn % learners]))
                gradient[part] = numbers(rank, 1003, turn)[part]
                sent += shares.send(part)
            for where, there in shares.update(contextlib.nullcontext(make)):
                there()
                seen.append((where, weights[where].clone()))
            gradient.fill_(torch.nan)  # nobody reads it any more
        assert len(made) == 3 + 11 * 2  # the first two parts are cut up together, once all know them
        assert made[3:5] == made[5:7] and made[3].start >= 70 and made[4].stop <= 70
        assert abs(sent - 2 * 4 * 1003 * (learners - 1) / learners) <= 2 * 4 * 64 * 3 * learners
        return seen

    results = together(ranks, life)
    total = torch.zeros(1003).double()
    for turn in range(12):
        total -= torch.stack([numbers(rank, 1003, turn) for rank in ranks]).double().sum(0)
        for number, where in enumerate((slice(70, 1003), slice(0, 70))):
            assert all(result[2 * turn + number][0] == where for result in results)
            weights = [result[2 * turn + number][1] for result in results]
            torch.testing.assert_close(weights[0].double(), total[where], rtol=1e-5, atol=1e-5)
            assert all(torch.equal(vector, weights[0]) for vector in weights)


def test_parts_are_cut_up_by_twos_that_lie_side_by_side_and_the_last_one_by_itself() -> None:
    five = ((80, 100), (60, 80), (30, 60), (20, 30), (0, 20))
    pairs = [five[:2], five[:2], five[2:4], five[2:4], five[4:]]
    assert by_twos(five) == {part: pair for part, pair in zip(five, pairs, strict=True)}
    assert by_twos(five[1:])[five[3]] == (five[3],)  # the other one would be the last
    assert by_twos(((0, 20), (60, 80), (20, 60))) == {p: (p,) for p in [(0, 20), (60, 80), (20, 60)]}
    assert by_twos(((0, 20),)) == {(0, 20): ((0, 20),)}


def test_a_gradient_that_comes_in_other_parts_than_before_is_an_error() -> None:
    def life(memory: PeerMemory, rank: int) -> None:
        gradient, weights = (memory.region.symmetric_like(torch.empty(300)) for _ in range(2))
        shares = memory.sharded_update(gradient, weights, (0, 1))
        assert shares is not None
        making = contextlib.nullcontext(lambda where, everyone: everyone[0])
        for part in [slice(200, 300), slice(100, 200), slice(0, 100)]:
            shares.send(part)
        shares.update(making)
        for part in [slice(200, 300), slice(0, 100)]:
            shares.send(part)
        with pytest.raises(RuntimeError, match="other parts"):
            shares.update(making)

    together((0, 1), life)


def one_of_three(
    store: PrefixStore, memory: PeerMemory | None, rank: int, steps: int, options: dict[str, float]
) -> tuple[ProcessWorld, Learner]:
    kind = "momentum" if "momentum" in options else "sgd"
    world = connect(store, rank, 3)
    world.peers = memory
    task = Quadratic(500, batch=9, rank=rank, size=3, dtype=torch.float32)
    learner = Learner(
        world, task, lambda w: optimizer.make(kind, w, **options), lambda samples: 0.1, Budget(steps, 9, 3)
    )
    return world, learner


@pytest.mark.parametrize("options", [{}, {"clip": 0.5}, {"momentum": 0.9}])
@pytest.mark.parametrize("bucket_mb", [4.0, 1e-5])
def test_learners_that_update_in_shares_take_the_steps_of_those_that_reduce(
    options: dict[str, float], bucket_mb: float
) -> None:
    """Over real connections between threads, played memory beside them."""
    store = HashStore()

    def life(memory: PeerMemory | None, rank: int, name: str) -> Tensor:
        world, learner = one_of_three(PrefixStore(name, store), memory, rank, 9, options)
        strategy = ScAllReduce(learner, bucket_mb=bucket_mb)
        assert (strategy.mean.target is learner.weights) == (not options)
        world.run(strategy.run())
        world.close()
        assert memory is None or (memory._sharded_updates and not memory.reductions._plans)
        return learner.weights

    shared = together((0, 1, 2), lambda memory, rank: life(memory, rank, "shares"))
    with ThreadPoolExecutor(3) as pool:
        reduced = list(pool.map(lambda rank: life(None, rank, "reduce"), range(3)))
    assert all(torch.equal(weights, shared[0]) for weights in shared)
    torch.testing.assert_close(shared[0], reduced[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["local", "bmuf"])
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}])
@pytest.mark.parametrize("tau", [1, 3])
def test_blocks_that_end_while_a_gradient_is_computed_give_the_models_of_those_that_wait(
    name: str, options: dict[str, float], tau: int
) -> None:
    """Over real connections between threads, played memory beside them; momentum needs the whole gradient."""
    store = HashStore()

    def life(memory: PeerMemory | None, rank: int, case: str) -> Tensor:
        world, learner = one_of_three(PrefixStore(case, store), memory, rank, 7, options)
        if memory is not None:  # reductions go through it though this is a CPU
            world._on_device = lambda payload: True  # type: ignore[method-assign]
        bucket_mb = (500 if memory is None else 1) * 4 / 2**20
        compute = functools.partial(learner.compute, bucket_mb=bucket_mb)
        learner.compute = compute  # type: ignore[method-assign]
        strategy = registry.make(name, learner, tau=tau)
        world.run(strategy.run())
        world.close()
        # Of up to seven blocks: from the same vectors.
        assert memory is None or 2 <= len(memory.reductions._plans) <= 4
        return learner.weights

    parts = together((0, 1, 2), lambda memory, rank: life(memory, rank, "parts"))
    with ThreadPoolExecutor(3) as pool:
        whole = list(pool.map(lambda rank: life(None, rank, "whole"), range(3)))
    same = name == "bmuf" or tau == 1  # `local` ends in the midst of a block
    assert not same or all(torch.equal(weights, parts[0]) for weights in parts)
    for one, other in zip(parts, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=5e-6)


def test_hosts_of_h_ad_update_in_shares_and_mix_between_them() -> None:
    """Two hosts of two learners: those of a host hold the same bits in the end, and both have learnt."""
    store, hosts = HashStore(), [(0, 1), (2, 3)]

    def life(memory: PeerMemory, rank: int) -> Tensor:
        world = connect(PrefixStore("h-ad", store), rank, 4, nodes=[0, 0, 1, 1])
        world.peers = memory
        task = Quadratic(300, batch=8, rank=rank, size=4, noise=0.0, dtype=torch.float32)
        learner = Learner(
            world, task, lambda w: optimizer.make("sgd", w), lambda samples: 0.3, Budget(60, 8, 4)
        )
        strategy = HAdPsgd(learner, bucket_mb=1e-4)

        async def begin_together() -> None:
            await world.roll_call(True)
            await strategy.run()

        world.run(begin_together())
        world.close()
        assert memory._sharded_updates and (rank % 2 == 0 or world.accounts.mixes == 0)
        return learner.weights

    with ThreadPoolExecutor(2) as pool:
        for one, other in pool.map(lambda ranks: together(ranks, life), hosts):
            assert torch.equal(one, other)
            assert one.abs().mean() < 0.1  # it began at 3
