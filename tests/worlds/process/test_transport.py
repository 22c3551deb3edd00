"""Messages between learners: who leaves is not taken for dead, and takes nobody for dead."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]

from dasr.worlds.interface import PeerLost
from dasr.worlds.process import wire
from dasr.worlds.process.store_keys import dead_key
from dasr.worlds.process.transport import Transport


def test_saying_goodbye_kills_nobody() -> None:
    """The peer closes as soon as it has read the goodbye, before the sender does anything else."""
    for _ in range(100):
        store = HashStore()
        leaving, staying = (Transport(store, rank, "127.0.0.1") for rank in range(2))
        leaving.send(1, 0, (torch.ones(4),))
        while staying.inbox.take(0, 0) is None:
            time.sleep(1e-4)
        leaving.close()
        while 0 not in staying.inbox.lost:
            time.sleep(1e-4)
        assert staying.inbox.lost == {0: 1}
        assert not staying.inbox.died
        assert not leaving.inbox.lost, "it took the one that stays for lost"
        assert not store.check([dead_key(1)])
        staying.close()


def test_closing_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        Transport(HashStore(), 0, "127.0.0.1").close()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (bytes(wire.MOST_HEADER_BYTES + 1), b""),
        (bytes([0, 0, 0]), bytes(8)),  # a float32 has 4
        (bytes([0, 0, 1]) + (100).to_bytes(8, "big"), bytes(400)),  # longer than a body may be
    ],
)
def test_a_message_that_no_learner_sends_ends_its_connection(
    header: bytes, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the learner at the other end is told that it is lost."""
    monkeypatch.setattr(wire, "MOST_BYTES", 399)
    store = HashStore()
    receiving, sending = (Transport(store, rank, "127.0.0.1") for rank in range(2))
    sending.connection(0).put(0, header, [memoryview(body)])
    with pytest.raises(PeerLost):
        while receiving.inbox.take(1, 0) is None:
            time.sleep(1e-4)
    assert not receiving.inbox.messages
    for transport in (receiving, sending):
        transport.close()
