"""What strangers who reach the store and the sockets can do: read, but not stop, replace or send weights."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore  # type: ignore[attr-defined]

from dasr.worlds.process import authentication
from dasr.worlds.process.authentication import NONCE_BYTES, PROOF_BYTES, SignedStore, Tampered
from dasr.worlds.process.store_client import StoreClient
from dasr.worlds.process.store_keys import address_key, lost_key
from dasr.worlds.process.transport import HELLO, Transport
from dasr.worlds.process.wire import unpack

SECRET = b"known to the job's processes"


@pytest.fixture
def pair() -> Iterator[tuple[HashStore, Transport, Transport]]:
    store = HashStore()
    one, other = (Transport(store, rank, "127.0.0.1", SECRET) for rank in range(2))
    yield store, one, other
    one.close()
    other.close()


@given(st.lists(st.text(max_size=5), max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_a_proof_is_of_exactly_what_was_said(said: list[str], other: list[str]) -> None:
    given_proof = authentication.proof(SECRET, *said)
    assert authentication.proves(given_proof, SECRET, *other) == (said == other)
    assert not authentication.proves(given_proof, b"", *said)


def test_what_is_signed_for_one_key_or_generation_means_nothing_for_another() -> None:
    stored = authentication.signed(SECRET, "lost/1", "it hangs").encode()
    assert authentication.verified(SECRET, "lost/1", stored) == "it hangs"
    assert authentication.verified(SECRET, "lost/2", stored) is None
    assert authentication.verified(authentication.derive(SECRET, "1"), "lost/1", stored) is None


def test_the_secret_is_nowhere_in_the_store(pair: tuple[HashStore, Transport, Transport]) -> None:
    store, one, _ = pair
    one.send(1, 3, (torch.ones(4),))
    for rank in range(2):
        value = store.get(address_key(rank))
        assert SECRET not in value and SECRET.hex().encode() not in value


def test_a_stranger_at_the_socket_delivers_nothing(pair: tuple[HashStore, Transport, Transport]) -> None:
    store, one, other = pair
    _, host, port, _ = store.get(address_key(0)).decode().split()
    with socket.create_connection((host, int(port))) as stranger:
        assert len(stranger.recv(NONCE_BYTES)) == NONCE_BYTES
        stranger.sendall(HELLO.pack(1, 1, bytes(NONCE_BYTES), bytes(PROOF_BYTES)))
        assert stranger.recv(PROOF_BYTES) == b"", "the connection is closed without a welcome"
    other.send(0, 3, (torch.tensor([5, 7]),))
    message = None
    while message is None:
        message = one.inbox.wait(lambda: one.inbox.take(1, 3), 1.0)
    (numbers,) = unpack(message, torch.device("cpu"))
    assert numbers.tolist() == [5, 7]


def test_a_stranger_who_listens_in_a_learners_place_is_sent_nothing() -> None:
    store = HashStore()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1 {listening.getsockname()[1]}"
        SignedStore(store, SECRET).set(address_key(1), f"{address} 1")  # one that a dead learner had
        sender = Transport(store, 0, "127.0.0.1", SECRET)
        sender.send(1, 3, (torch.ones(4),))
        connection, _ = listening.accept()
        with connection:
            connection.sendall(bytes(NONCE_BYTES))
            assert len(connection.recv(HELLO.size, socket.MSG_WAITALL)) == HELLO.size
            connection.sendall(bytes(PROOF_BYTES))
            assert connection.recv(1) == b"", "it hangs up, without a message"
        sender.close()


@pytest.mark.parametrize("key", [lost_key(1), "dead/1", "left/1", "roll/0/result"])
def test_what_a_stranger_writes_into_the_store_is_noticed(
    pair: tuple[HashStore, Transport, Transport], key: str
) -> None:
    store, one, _ = pair
    client = StoreClient(one, 2)
    store.set(key, "1")
    with pytest.raises(Tampered, match=key):
        client.is_lost(1)
        client.result(client.answer(True, ()), lambda: None)
