"""The algorithms of memory that GPUs of a host share, on threads and plain memory: torch's symmetric memory
needs GPUs, so its regions and signals are played here, by the same rules."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import HashStore, PrefixStore

from dasr.strategies.allreduce import ScAllReduce
from dasr.strategies.hierarchical import HAd
from dasr.training import optimizer
from dasr.training.learner import Budget, Learner
from dasr.training.task import Quadratic
from dasr.worlds.peer_memory import PeerMemory
from dasr.worlds.torch_world import connect

TIMEOUT_S = 20.0


class Host:
    """Regions of learners that are threads. A signal that was put holds up the next until waited for."""

    def __init__(self, learners: int):
        self.learners = learners
        self.changed = threading.Condition()
        self.vectors: dict[tuple[int, int], Tensor] = {}  # (number of the region, learner)
        self.signals: set[tuple[int, int, int, int]] = set()  # (region, from, to, channel)
        self.made = [0] * learners

    def allocator(self, place: int) -> Callable[[int, torch.dtype], tuple[Tensor, PlayedRegion]]:
        def allocate(length: int, dtype: torch.dtype) -> tuple[Tensor, PlayedRegion]:
            number = self.made[place]
            self.made[place] += 1
            vector = torch.full((length,), 0x55, dtype=torch.uint8).to(dtype)
            with self.changed:
                self.vectors[number, place] = vector
                self.changed.notify_all()
                everybody = [(number, other) for other in range(self.learners)]
                assert self.changed.wait_for(lambda: all(k in self.vectors for k in everybody), TIMEOUT_S)
            return vector, PlayedRegion(self, number, place)

        return allocate


class PlayedRegion:
    def __init__(self, host: Host, number: int, place: int):
        self.host, self.number, self.place = host, number, place

    def get_buffer(self, rank: int, sizes: Any, dtype: torch.dtype, storage_offset: int = 0) -> Tensor:
        flat = self.host.vectors[self.number, rank].view(torch.uint8).view(dtype)
        return flat[storage_offset : storage_offset + torch.Size(sizes).numel()].view(sizes)

    def put_signal(self, dst_rank: int, channel: int = 0, timeout_ms: int = 0) -> None:
        self._turn((self.number, self.place, dst_rank, channel), put=True)

    def wait_signal(self, src_rank: int, channel: int = 0, timeout_ms: int = 0) -> None:
        self._turn((self.number, src_rank, self.place, channel), put=False)

    def _turn(self, signal: tuple[int, int, int, int], put: bool) -> None:
        host = self.host
        with host.changed:
            assert host.changed.wait_for(lambda: (signal in host.signals) != put, TIMEOUT_S), signal
            (host.signals.add if put else host.signals.remove)(signal)
            host.changed.notify_all()


def together(ranks: Sequence[int], life: Callable[[PeerMemory, int], Any]) -> list[Any]:
    """What `life(memory, rank)` gives on each learner, all at once."""
    host, results = Host(len(ranks)), dict[int, Any]()

    def live(place: int) -> None:
        results[place] = life(PeerMemory(host.allocator(place), ranks, ranks[place], TIMEOUT_S), ranks[place])

    threads = [threading.Thread(target=live, args=(place,)) for place in range(len(ranks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT_S)
    assert len(results) == len(ranks), "a learner failed or waits for ever"
    return [results[place] for place in range(len(ranks))]


def numbers(rank: int, length: int, turn: int = 0) -> Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(100 * turn + rank))


@pytest.mark.parametrize("learners", [2, 3, 5])
@pytest.mark.parametrize("length", [3, 1000])
@pytest.mark.parametrize("op", ["mean", "sum"])
def test_slices_of_a_shared_vector_are_reduced_to_the_same_bits_everywhere(
    learners: int, length: int, op: str
) -> None:
    ranks = [4 + 2 * i for i in range(learners)]  # of a host that is not the first

    def life(memory: PeerMemory, rank: int) -> Tensor:
        vector = memory.shared(torch.empty(length))
        assert vector.eq(0).all()
        for turn in range(3):
            vector.copy_(numbers(rank, length, turn))
            cuts = [0, length // 3, length - 1, length]
            parts = [vector[a:b] for a, b in itertools.pairwise(cuts)]
            assert all(memory.reduces(part, ranks) for part in parts)
            waits = [memory.all_reduce(part, ranks, op) for part in reversed(parts)]
            for wait in waits:
                wait()
        return vector

    results = together(ranks, life)
    total = torch.stack([numbers(rank, length, 2) for rank in ranks]).double().sum(0)
    expected = total / learners if op == "mean" else total
    torch.testing.assert_close(results[0].double(), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(result, results[0]) for result in results)


def test_a_mean_can_go_into_another_vector_and_over_a_part_of_the_host() -> None:
    ranks = (0, 1, 2, 3)

    def life(memory: PeerMemory, rank: int) -> tuple[Tensor, Tensor]:
        memory.shared(torch.empty(77))
        out = memory.shared(torch.empty(77))
        own, pair = numbers(rank, 77), (0, 2) if rank % 2 == 0 else (1, 3)
        assert not memory.reduces(own, pair)
        assert not memory.reduces(out, (0, 9))
        return own, memory.all_reduce(own, pair, "mean", out)()

    for rank, (own, mean) in enumerate(together(ranks, life)):
        assert torch.equal(own, numbers(rank, 77))  # left alone
        expected = (numbers(rank, 77) + numbers((rank + 2) % 4, 77)) / 2
        torch.testing.assert_close(mean, expected)


def test_messages_of_a_ring_cross_round_after_round(learners: int = 3) -> None:
    def life(memory: PeerMemory, rank: int) -> list[float]:
        memory.shared(torch.empty(50))
        seen = []
        for turn in range(5):
            peers = [(rank - 1) % learners, (rank + 1) % learners]
            mine = (torch.full((20,), 10.0 * turn + rank), torch.tensor([rank], dtype=torch.int64))
            waits = [memory.windows.exchange(mine, peer) for peer in peers]
            for peer, wait in zip(peers, waits, strict=True):
                theirs, name = wait()
                assert int(name) == peer
                seen.append(float(theirs[0]) - 10 * turn - peer)
        return seen

    assert together(range(learners), life) == [[0.0] * 10] * learners


@pytest.mark.parametrize("computes", [False, True])
def test_exchanges_begin_when_one_is_awaited_or_a_gradient_has_its_first_part(computes: bool) -> None:
    """Two with one partner at a time, in parts of a vector; what is sent is what was there then."""

    def life(memory: PeerMemory, rank: int) -> list[Tensor]:
        memory.shared(torch.empty(40))
        seen, told = [], list[int]()
        for turn in range(4):
            mine = numbers(rank, 40, turn)
            waits = [
                memory.windows.exchange(mine[:16], 1 - rank),
                memory.windows.exchange(mine[16:], 1 - rank),
            ]
            assert len(memory.windows._waiting) == 2
            if computes:
                ready = memory.windows.begin_before(lambda part: told.append(len(memory.windows._waiting)))
                ready(mine)
                ready(mine)
                assert told == [0, 0] * (turn + 1)
            seen.append(torch.cat([wait().clone() for wait in waits]))
            assert not memory.windows._waiting
        return seen

    for rank, seen in enumerate(together(range(2), life)):
        assert all(torch.equal(theirs, numbers(1 - rank, 40, turn)) for turn, theirs in enumerate(seen))


@pytest.mark.parametrize("learners", [2, 3, 5])
def test_each_makes_a_share_of_the_update_once_all_have_sent_it(learners: int) -> None:
    """Learners come late in turn, and all hold the same bits before anybody goes on."""
    ranks = [3 + 2 * i for i in range(learners)]
    parts = [slice(700, 1003), slice(70, 700), slice(0, 70)]

    def life(memory: PeerMemory, rank: int) -> list[tuple[slice, Tensor]]:
        gradient, weights = memory.shared(torch.empty(1003)), memory.shared(torch.empty(1003))
        seen, made = list[tuple[slice, Tensor]](), list[slice]()
        assert memory.shares(torch.empty(1003), weights, tuple(ranks)) is None  # not shared
        assert memory.shares(gradient, weights, (*ranks, 99)) is None  # of another host

        def make(where: slice, everyone: Sequence[Tensor]) -> None:
            assert len(everyone) == learners
            made.append(where)
            for vector in everyone:
                weights[where] -= vector

        for turn in range(5):
            shares = memory.shares(gradient, weights, tuple(ranks))
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
        assert made[:3] == made[3:6] and all(p.start <= m.start for p, m in zip(parts, made, strict=False))
        assert abs(sent - 2 * 4 * 1003 * (learners - 1) / learners) <= 2 * 4 * 64 * 3 * learners
        return seen

    results = together(ranks, life)
    total = torch.zeros(1003).double()
    for turn in range(5):
        total -= torch.stack([numbers(rank, 1003, turn) for rank in ranks]).double().sum(0)
        for number, where in enumerate((slice(70, 1003), slice(0, 70))):
            assert all(result[2 * turn + number][0] == where for result in results)
            weights = [result[2 * turn + number][1] for result in results]
            torch.testing.assert_close(weights[0].double(), total[where], rtol=1e-5, atol=1e-5)
            assert all(torch.equal(vector, weights[0]) for vector in weights)


@pytest.mark.parametrize("options", [{}, {"clip": 0.5}, {"momentum": 0.9}])
@pytest.mark.parametrize("bucket_mb", [4.0, 1e-5])
def test_learners_that_update_in_shares_take_the_steps_of_those_that_reduce(
    options: dict[str, float], bucket_mb: float
) -> None:
    """Over real connections between threads, played memory beside them."""
    store, kind = HashStore(), "momentum" if "momentum" in options else "sgd"

    def life(memory: PeerMemory | None, rank: int, name: str) -> Tensor:
        world = connect(PrefixStore(name, store), rank, 3)
        world.peers = memory
        task = Quadratic(500, batch=9, rank=rank, size=3, dtype=torch.float32)
        learner = Learner(
            world, task, lambda w: optimizer.make(kind, w, **options), lambda samples: 0.1, Budget(9, 9, 3)
        )
        strategy = ScAllReduce(learner, bucket_mb=bucket_mb)
        assert (strategy.mean.target is learner.weights) == (not options)
        world.run(strategy.run())
        world.close()
        assert memory is None or (memory._all_shares and not memory._plans)
        return learner.weights

    shared = together((0, 1, 2), lambda memory, rank: life(memory, rank, "shares"))
    with ThreadPoolExecutor(3) as pool:
        reduced = list(pool.map(lambda rank: life(None, rank, "reduce"), range(3)))
    assert all(torch.equal(weights, shared[0]) for weights in shared)
    torch.testing.assert_close(shared[0], reduced[0], rtol=1e-5, atol=1e-6)


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
        strategy = HAd(learner, bucket_mb=1e-4)

        async def begin_together() -> None:
            await world.roll_call(True)
            await strategy.run()

        world.run(begin_together())
        world.close()
        assert memory._all_shares and (rank % 2 == 0 or world.accounts.mixes == 0)
        return learner.weights

    with ThreadPoolExecutor(2) as pool:
        for one, other in pool.map(lambda ranks: together(ranks, life), hosts):
            assert torch.equal(one, other)
            assert one.abs().mean() < 0.1  # it began at 3
