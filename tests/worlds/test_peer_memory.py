"""The algorithms of memory that GPUs of a host share, on threads and plain memory: torch's symmetric memory
needs GPUs, so its regions and signals are played here, by the same rules."""

from __future__ import annotations

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
            waits = [memory.exchange(mine, peer) for peer in peers]
            for peer, wait in zip(peers, waits, strict=True):
                theirs, name = wait()
                assert int(name) == peer
                seen.append(float(theirs[0]) - 10 * turn - peer)
        return seen

    assert together(range(learners), life) == [[0.0] * 10] * learners


def test_two_learners_send_a_vector_while_it_is_made() -> None:
    """Each part is there before the last is sent, and stays until this learner begins the next gathering,
    though the other has begun it already."""
    ranks, head, tail = (3, 8), slice(37), slice(37, 100)

    def life(memory: PeerMemory, rank: int) -> list[Tensor]:
        vector, seen, late = memory.shared(torch.empty(100)), list[Tensor](), torch.zeros(100)
        assert memory.pair(torch.empty(100), ranks, "main") is None  # not shared
        for turn in range(5):
            time.sleep(0.02 * (rank == ranks[turn % 2]))
            if turn:
                assert torch.equal(late, numbers(10 * (turn - 1) + sum(ranks) - rank, 100))
            pair = memory.pair(vector, ranks, "main")
            assert pair is not None
            vector[tail] = numbers(10 * turn + rank, 100)[tail]
            assert pair.send(tail) == 63 * 4
            first = pair.sent()
            vector[head] = numbers(10 * turn + rank, 100)[head]
            pair.send(head)
            second = pair.sent()
            place = ranks.index(rank)
            for part, wait in ((tail, first), (head, second)):
                everyone = wait()
                assert everyone[place].data_ptr() == vector.data_ptr()
                seen.append(everyone[1 - place][part].clone())
            late = everyone[1 - place]
        return seen

    for rank, seen in zip(ranks, together(ranks, life), strict=True):
        for turn in range(5):
            theirs = numbers(10 * turn + sum(ranks) - rank, 100)
            assert torch.equal(seen[2 * turn], theirs[tail]) and torch.equal(seen[2 * turn + 1], theirs[head])


def test_what_more_than_two_or_another_activity_want_is_not_sent_in_pairs() -> None:
    def life(memory: PeerMemory, rank: int) -> list[bool]:
        vector = memory.shared(torch.empty(100))
        pairs = [memory.pair(vector, (0, 1, 2), "main"), memory.pair(vector, (rank, (rank + 1) % 3), "main")]
        return [pair is not None for pair in [*pairs, memory.pair(vector, (0, 1), "mixing")]]

    assert together(range(3), life) == [[False, True, False]] * 3


@pytest.mark.parametrize("options", [{}, {"clip": 0.5}, {"momentum": 0.9}])
@pytest.mark.parametrize("bucket_mb", [4.0, 1e-5])
def test_learners_that_gather_take_the_steps_of_those_that_reduce(
    options: dict[str, float], bucket_mb: float
) -> None:
    """Over real connections between threads, played memory beside them."""
    store, kind = HashStore(), "momentum" if "momentum" in options else "sgd"

    def life(memory: PeerMemory | None, rank: int, name: str) -> Tensor:
        world = connect(PrefixStore(name, store), rank, 2)
        world.peers, gathers = memory, list[bool]()
        task = Quadratic(50, batch=8, rank=rank, size=2, dtype=torch.float32)
        learner = Learner(
            world, task, lambda w: optimizer.make(kind, w, **options), lambda samples: 0.1, Budget(9, 8, 2)
        )
        begin = world.gathering
        world.gathering = lambda *asked: (gathers.append(True), begin(*asked))[1]  # type: ignore[method-assign]
        world.run(ScAllReduce(learner, bucket_mb=bucket_mb).run())
        world.close()
        assert len(gathers) == 9 and (memory is None or memory._pairs)
        return learner.weights

    gathered = together((0, 1), lambda memory, rank: life(memory, rank, "gather"))
    with ThreadPoolExecutor(2) as pool:
        reduced = list(pool.map(lambda rank: life(None, rank, "reduce"), (0, 1)))
    assert torch.equal(*gathered)
    torch.testing.assert_close(gathered[0], reduced[0], rtol=1e-5, atol=1e-6)


def test_windows_go_from_one_use_to_another_when_they_have_been_read() -> None:
    """One learner is ahead of the other by a step that sends nothing."""

    def life(memory: PeerMemory, rank: int) -> list[Tensor]:
        vector, seen = memory.shared(torch.empty(40)), []
        for turn in range(8):
            vector.copy_(numbers(10 * turn + rank, 40))
            if turn % 4 < 2:
                pair = memory.pair(vector, (0, 1), "main")
                assert pair is not None
                pair.send(slice(0, 40))
                theirs = pair.sent()()[1 - rank]
            else:
                theirs = memory.exchange(vector, 1 - rank)()
            time.sleep(0.05 * (rank == turn // 4))  # reads it late
            seen.append(theirs.clone())
        return seen

    for rank, seen in enumerate(together(range(2), life)):
        for turn, theirs in enumerate(seen):
            assert torch.equal(theirs, numbers(10 * turn + 1 - rank, 40)), turn
