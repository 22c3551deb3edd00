"""Who is blamed for a hang."""

import json

import pytest
from torch.distributed import HashStore, Store  # type: ignore[attr-defined]

from dasr.launch.heartbeats import HeartbeatMonitor


def says(store: Store, rank: int, step: int, doing: str, beat: int) -> None:
    store.set(f"heartbeat/{rank}", json.dumps({"step": step, "doing": doing, "beat": beat}))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_learner_that_computes_is_blamed_not_those_that_wait_for_it(asynchronous: bool) -> None:
    store, clock = HashStore(), [0.0]
    heartbeats = HeartbeatMonitor(store, 20.0, asynchronous, now=lambda: clock[0])
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
    heartbeats = HeartbeatMonitor(store, 20.0, False, now=lambda: clock[0])
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
    heartbeats = HeartbeatMonitor(store, 20.0, True, now=lambda: clock[0])
    for rank in range(2):
        heartbeats.expect(rank)
    for second in range(200):
        clock[0] = float(second)
        says(store, 0, 7, "wait", beat=second)
        says(store, 1, second // 10, "compute", beat=second)
        assert heartbeats.hung(range(2)) is None
