"""What one learner measures for `dasr calibrate`: messages, collectives, the store, and what they cost work.

Every measurement is a median over repeats that all learners begin together; the slowest learner's time
counts.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from dasr.worlds.interface import Ready
from dasr.worlds.process.activities import ignore
from dasr.worlds.process.world import ProcessWorld

SMALLEST = 1 << 10  # bytes
LARGEST_BESIDE = 1 << 20  # bytes of a message that passes beside work
TURNS, EXCHANGES, LONGEST_S = 60, 20, 10.0  # of work beside traffic, at least; seconds, at most
Times = dict[int, float]  # bytes -> seconds
Work = Callable[[Ready], None]  # as a gradient is computed


async def probe(
    world: ProcessWorld, max_bytes: int, repeats: int, work: Work | None = None
) -> dict[str, Any]:
    """One learner's measurements: seconds for each size in bytes; what traffic costs `work` (default:
    arithmetic)
    that goes on beside it."""
    exchange: Times = {}
    all_reduce: Times = {}
    peer, device = world.rank ^ 1, world.device
    vector = world.symmetric_like(torch.empty(max_bytes // 4, device=device))  # as gradients are
    for size in sizes(max_bytes):
        buffer = vector[: size // 4]
        exchange[size] = await _slowest(world, repeats, functools.partial(_exchange, world, buffer, peer))
        all_reduce[size] = await _slowest(world, repeats, functools.partial(world.all_reduce, buffer))
    contention = 1.0
    if world.size > 2:
        size = sizes(max_bytes // 4)[-1]
        rounds = functools.partial(_with_neighbours, world, vector[: size // 4])
        contention = max(
            1.0, statistics.mean(await _timed(world, 2 * repeats, rounds)) / exchange[size] - 1.0
        )
    busy, size = (_busy, min(max_bytes, LARGEST_BESIDE)) if device.type == "cpu" else (_busy_gpu, max_bytes)
    size = sizes(size)[-1]
    alone = await busy(world, work or arithmetic, vector[:0])
    beside = await busy(world, work or arithmetic, vector[: size // 4])
    usual = exchange[size] + exchange[SMALLEST]
    # On a CPU bytes pass all the time that work is timed; on a GPU it goes on long after they have passed.
    during = exchange[size] if device.type == "cuda" else beside.work
    slowdown = during / max(0.1 * during, during - max(0.0, beside.work - alone.work))
    return {
        "exchange": exchange,
        "all_reduce": all_reduce,
        "flow_contention": contention,
        "store": alone.question,
        "store_busy": beside.question,
        "compute_slowdown": slowdown,
        "compute_slowdown_jitter": _variation([seconds - alone.work for seconds in beside.works]),
        "message_slowdown": max(1.0, beside.exchange / usual) if beside.exchanges else 1.0,
    }


def sizes(max_bytes: int) -> list[int]:
    """1 kB, 2 kB, 4 kB, ... up to the largest."""
    found = [SMALLEST]
    while found[-1] * 2 <= max_bytes:
        found.append(found[-1] * 2)
    return found


async def _exchange(world: ProcessWorld, buffer: torch.Tensor, peer: int) -> None:
    if peer < world.size:  # an odd one out waits for the others
        await world.exchange((buffer,), peer, tag=9)


async def _with_neighbours(world: ProcessWorld, buffer: torch.Tensor) -> None:
    """Two exchanges at once, as on a ring."""
    neighbours = [(world.rank + 1) % world.size, (world.rank - 1) % world.size]
    for exchange in [world.exchange((buffer,), peer, tag=12) for peer in neighbours]:
        await exchange


async def _slowest(world: ProcessWorld, repeats: int, action: Callable[[], Any]) -> float:
    """Median time of `action` on the slowest learner."""
    return max(await _timed(world, repeats, action))


async def _timed(world: ProcessWorld, repeats: int, action: Callable[[], Any]) -> list[float]:
    """Median time of `action` on each learner; the first two are not counted."""
    times = []
    for _ in range(repeats + 2):
        await world.all_reduce(torch.zeros(1))  # all begin together
        start = time.perf_counter()
        await action()
        _synchronize(world)
        times.append(time.perf_counter() - start)
    own = torch.tensor([statistics.median(times[2:])], dtype=torch.float64)
    return [float(one) for (one,) in await world.all_gather((own,))]


def _variation(delays: list[float]) -> float:
    """Standard deviation of what traffic delays work by, as a multiple of its mean (0 where that is none)."""
    mean = statistics.mean(delays)
    return min(1.0, statistics.stdev(delays) / mean) if mean > 0 else 0.0


@dataclass
class Busy:
    """What a learner gets done while another of its activities sends and receives."""

    works: list[float] = field(default_factory=list)  # seconds
    questions: list[float] = field(default_factory=list)  # to the store, seconds
    exchanges: list[float] = field(default_factory=list)  # seconds, as long as the work lasts

    @property
    def work(self) -> float:
        return statistics.mean(self.works)  # means: what traffic does to it comes in bursts

    @property
    def question(self) -> float:
        return statistics.mean(self.questions)

    @property
    def exchange(self) -> float:
        return statistics.mean(self.exchanges)


def _synchronize(world: ProcessWorld) -> None:
    if world.device.type == "cuda":
        torch.cuda.synchronize(world.device)


async def _busy_gpu(world: ProcessWorld, work: Work, weights: torch.Tensor) -> Busy:
    """`weights` (if any) pass to the partner while work goes on: copies that take no thread."""
    found, peer = Busy(), world.rank ^ 1
    for _ in range(TURNS):
        await world.all_reduce(torch.zeros(1))
        _synchronize(world)
        start = time.perf_counter()
        passing = world.exchange((weights,), peer, tag=11) if len(weights) and peer < world.size else None
        await world.compute(work)
        if passing is not None:
            await passing
        _synchronize(world)
        found.works.append(time.perf_counter() - start)
        start = time.perf_counter()
        await world.count("calibration", 1)
        found.questions.append(time.perf_counter() - start)
    return found


async def _busy(world: ProcessWorld, work: Work, message: torch.Tensor) -> Busy:
    """`message`: what the other activity sends again and again; nothing: silence."""
    weights, size = message.clone(), message.nbytes
    stop = world.event()
    found = Busy()

    async def talk() -> None:
        while True:
            start = time.perf_counter()
            mine = torch.tensor([float(stop.is_set())])
            (its,) = await world.exchange((mine,), world.rank ^ 1, tag=10)
            if its.item() or mine.item():
                return
            sent = weights.clone()
            (theirs,) = await world.exchange((sent,), world.rank ^ 1, tag=11)
            weights.add_(torch.zeros_like(sent).add_(theirs - sent, alpha=0.5))  # as gossip does
            if not stop.is_set():
                found.exchanges.append(time.perf_counter() - start)

    talking = None
    await world.all_reduce(torch.zeros(1))
    if size and world.rank ^ 1 < world.size:
        talking = world.spawn(talk(), "talking")
    until = time.perf_counter() + LONGEST_S
    while len(found.works) < TURNS or (talking and len(found.exchanges) < EXCHANGES):
        start = time.perf_counter()
        if start > until:
            break
        work(ignore)
        worked = time.perf_counter()
        await world.count("calibration", 1)
        found.works.append(worked - start)
        found.questions.append(time.perf_counter() - worked)
    stop.set()
    if talking is not None:
        await talking
    return found


def arithmetic(ready: Ready) -> None:
    """Some milliseconds of matrix products, in place of a gradient."""
    matrix = torch.full((192, 192), 0.001)
    for _ in range(100):
        matrix = matrix @ matrix
