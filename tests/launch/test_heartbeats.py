"""Who is blamed for a hang."""

import json

import pytest
from torch.distributed import HashStore, Store  # type: ignore[attr-defined]

from dasr.launch.heartbeats import HeartbeatMonitor


def monitor(
    store: Store, clock: list[float], *, first_step_s: float = 20.0, asynchronous: bool = False
) -> HeartbeatMonitor:
    return HeartbeatMonitor(store, 20.0, first_step_s, asynchronous, now=lambda: clock[0])


def says(store: Store, rank: int, step: int, doing: str, beat: int, stepped: bool = True) -> None:
    said = {"step": step, "doing": doing, "beat": beat, "stepped": stepped}
    store.set(f"heartbeat/{rank}", json.dumps(said))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_learner_that_computes_is_blamed_not_those_that_wait_for_it(asynchronous: bool) -> None:
    store, clock = HashStore(), [0.0]
    heartbeats = monitor(store, clock, asynchronous=asynchronous)
    for rank in range(3):
        heartbeats.expect(rank)
    for second in range(40):
        clock[0] = float(second)
        for rank in range(3):
            says(store, rank, 7, "compute" if rank == 1 else "wait", beat=second)
        hung = heartbeats.hung(range(3))
        if hung:
            break
    assert hung is not None and hung.rank == 1 and "'compute' at step 7" in hung.reason
    assert 20 < second < 25


def test_a_frozen_process_is_blamed_even_if_it_waited() -> None:
    store, clock = HashStore(), [0.0]
    heartbeats = monitor(store, clock)
    for rank in range(2):
        heartbeats.expect(rank)
    for second in range(40):
        clock[0] = float(second)
        says(store, 0, 7, "compute", beat=second)
        says(store, 1, 7, "wait", beat=min(second, 3))
        hung = heartbeats.hung(range(2))
        if hung:
            break
    assert hung is not None and hung.rank == 1 and "no sign of life" in hung.reason


def test_asynchronous_learners_may_wait_as_long_as_another_one_moves() -> None:
    store, clock = HashStore(), [0.0]
    heartbeats = monitor(store, clock, asynchronous=True)
    for rank in range(2):
        heartbeats.expect(rank)
    for second in range(200):
        clock[0] = float(second)
        says(store, 0, 7, "wait", beat=second)
        says(store, 1, second // 10, "compute", beat=second)
        assert heartbeats.hung(range(2)) is None


def test_before_its_first_step_a_learner_may_stand_longer() -> None:
    """It imports, reads, compiles; after it has made a step it does not do so again."""
    store, clock = HashStore(), [0.0]
    heartbeats = monitor(store, clock, first_step_s=100.0)
    heartbeats.expect(0)
    for second in range(90):
        clock[0] = float(second)
        says(store, 0, 40, "compute", beat=second, stepped=False)
        assert heartbeats.hung([0]) is None
    stood = 0
    while heartbeats.hung([0]) is None:
        stood += 1
        clock[0] += 1.0
        says(store, 0, 41, "compute", beat=90 + stood)
    assert 3 * 90 - 5 < stood < 3 * 90 + 5, "three times the longest so far: here its first step"


def test_slow_steps_are_not_taken_for_a_hang() -> None:
    """A large model on few cores: each step takes longer than before and than the limit."""
    store, clock = HashStore(), [0.0]
    heartbeats = monitor(store, clock, first_step_s=100.0)
    heartbeats.expect(0)
    for step, seconds in enumerate([15, 18, 30, 50, 80]):
        for second in range(seconds):
            clock[0] += 1.0
            says(store, 0, step, "compute", beat=second, stepped=step > 0)
            assert heartbeats.hung([0]) is None, f"step {step} after {second} s"
    stood = 0
    while heartbeats.hung([0]) is None:
        stood += 1
        clock[0] += 1.0
        says(store, 0, 5, "compute", beat=100 + stood)
    assert 3 * 80 <= stood < 3 * 80 + 5
