"""Messages between learner processes: one TCP connection a direction and pair, opened when first needed.

Why not gloo's send and receive: a message here needs no posted receive, "from anybody" is exact, two threads
never block each other, the death of a peer is seen at once on its connection and touches no other, and a
replacement of a lost learner is simply connected to. Messages are raw tensors with a header that describes
them (never pickles); a header that makes no sense ends its connection.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dasr.worlds.interface import Payload, PeerLost
from dasr.worlds.process import wire
from dasr.worlds.process.authentication import (
    NONCE_BYTES,
    PROOF_BYTES,
    SignedStore,
    Tampered,
    nonce,
    proof,
    proves,
)
from dasr.worlds.process.inbox import Inbox
from dasr.worlds.process.store_keys import address_key, dead_key, left_key
from dasr.worlds.process.wire import BadHeader, Body, Message

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

logger = logging.getLogger(__name__)

WINDOW = 4  # messages handed over to one peer that the kernel has not taken; the next send waits
HELLO = struct.Struct(
    f"!II{NONCE_BYTES}s{PROOF_BYTES}s"
)  # rank and incarnation of the sender, its nonce, its proof
FRAME = struct.Struct("!IIQ")  # tag, bytes of the header that follows, bytes of the body after it
BYE = 0xFFFFFFFF  # a tag: this learner has finished and sends no more
SLICE_S = 0.5  # how often a waiting thread looks around
# Of the handshake of one connection, so that a stranger who says nothing does not hold a thread. The kernel
# measures it, so it is no argument; a learner that opened a connection treats a silent peer as lost.
HANDSHAKE_S = 30.0


class Transport:
    """The connections of learner `rank`. Threads: one that accepts, one for each connection and direction."""

    def __init__(self, store: Store, rank: int, host: str, secret: bytes = b"") -> None:
        """`secret`: what both ends of a connection prove that they know; it is the same for all learners."""
        self.rank = rank
        self.store = store
        self.inbox = Inbox()
        self.incarnation = store.add(f"incarnation/{rank}", 1)
        self.secret = secret
        self.signed = SignedStore(store, secret)
        self._outgoing: dict[int, _Outgoing] = {}
        self._incoming: set[int] = set()  # peers whose stream is open: its end says when they are gone
        self._lock = threading.Lock()
        self._server = socket.create_server((host, 0), backlog=1024)
        self._address = f"{host} {self._server.getsockname()[1]}"
        self.signed.set(address_key(rank), f"{self._address} {self.incarnation}")
        threading.Thread(target=self._accept, daemon=True, name="accept").start()

    def connection(self, to: int) -> _Outgoing:
        """The connection to that learner, opened in the background if it is new (or the one there is
        lost)."""
        with self._lock:
            outgoing = self._outgoing.get(to)
            if outgoing is None or (outgoing.dead and to not in self.inbox.lost):
                outgoing = self._outgoing[to] = _Outgoing(self, to)
            return outgoing

    def send(self, to: int, tag: int, payload: Payload) -> None:
        """Hand a copy of the payload over; blocks while WINDOW others wait. Raises PeerLost, ValueError."""
        self.connection(to).put(tag, wire.header_of(payload), wire.pack(payload))

    def lose(self, rank: int, incarnation: int, died: bool = True) -> None:
        """That learner died or left. Tells everybody, through the store, if it died."""
        died = died and not self.has_left(rank, incarnation)
        with self.inbox.changed:
            if self.inbox.lost.get(rank, 0) >= incarnation:
                return
            self.inbox.lost[rank] = incarnation
            if died:
                self.inbox.died.add(rank)
            self.inbox.changed.notify_all()
        if died:
            logger.info("learner %d: learner %d is lost", self.rank, rank)
            with contextlib.suppress(RuntimeError):  # where the store is gone too, the run ends anyway
                self.signed.set(dead_key(rank), str(incarnation))

    def has_left(self, rank: int, incarnation: int) -> bool:
        """Whether that learner said that it has finished."""
        return incarnation_at(self.signed, left_key(rank)) >= incarnation

    def revive(self, rank: int, incarnation: int) -> None:
        """A replacement has taken that learner's place."""
        with self.inbox.changed:
            if self.inbox.lost.get(rank, incarnation) < incarnation:
                logger.info("learner %d: learner %d is back, replaced", self.rank, rank)
                del self.inbox.lost[rank]
                self.inbox.died.discard(rank)
                for (source, _), waiting in self.inbox.messages.items():
                    if source == rank:
                        waiting.clear()

    def close(self) -> None:
        """Flush what was sent, say goodbye, close. Waits for peers that live, as long as they take: who hangs
        is for others to judge."""
        with contextlib.suppress(RuntimeError):
            self.signed.set(left_key(self.rank), str(self.incarnation))
        for outgoing in list(self._outgoing.values()):
            outgoing.finish()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # close() alone leaves a thread in accept()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True, name="read").start()

    def _read(self, connection: socket.socket) -> None:
        """One peer's messages into the inbox, until it says goodbye or is lost."""
        connection.settimeout(HANDSHAKE_S)
        try:
            mine = nonce()
            connection.sendall(mine)
            source, incarnation, theirs, given = HELLO.unpack(_receive(connection, HELLO.size).data)
            if not proves(given, self.secret, "hello", self._address, mine, source, incarnation):
                connection.close()
                return
            connection.sendall(proof(self.secret, "welcome", self._address, theirs))
        except OSError:
            return
        connection.settimeout(None)
        self.revive(source, incarnation)
        self._incoming.add(source)
        try:
            while True:
                tag, header_bytes, body_bytes = FRAME.unpack(_receive(connection, FRAME.size).data)
                if tag == BYE:
                    self.lose(source, incarnation, died=False)
                    return
                self.inbox.put(source, tag, _receive_message(connection, header_bytes, body_bytes))
        except OSError as error:
            if isinstance(error, BadHeader):
                logger.error(f"learner {self.rank} closes its connection from learner {source}: {error}")
            self.lose(source, incarnation)
        finally:
            self._incoming.discard(source)
            connection.close()


class _Outgoing:
    """The sending side of one connection: a queue, and a thread that empties it."""

    def __init__(self, transport: Transport, to: int) -> None:
        self.transport = transport
        self.to = to
        self.dead = False
        self._closing = False
        self._finished = False  # we said goodbye: the peer closing this connection means nothing
        self._queue: queue.Queue[tuple[int, bytes, Sequence[memoryview]]] = queue.Queue(WINDOW)
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"send to {to}")
        self._thread.start()

    def put(self, tag: int, header: bytes, parts: Sequence[memoryview]) -> None:
        while True:
            if self._gone():
                raise PeerLost(self.to)
            try:
                return self._queue.put((tag, header, parts), timeout=SLICE_S)
            except queue.Full:
                continue

    def finish(self) -> None:
        """Send what waits and say goodbye, unless the peer is gone or has never come."""
        self._closing = True
        with contextlib.suppress(PeerLost):
            self.put(BYE, b"", ())
        while self._thread.is_alive() and not self._gone():
            self._thread.join(SLICE_S)

    def _gone(self) -> bool:
        return self.dead or self.to in self.transport.inbox.lost

    def _run(self) -> None:
        transport, to = self.transport, self.to
        incarnation = 1
        try:
            while not transport.store.check([address_key(to)]):  # wait() would hold the store's connection
                if self._gone() or (self._closing and self._queue.qsize() < 2):  # only the goodbye waits
                    return
                time.sleep(0.01)
            host, port, number = (transport.signed.get(address_key(to)) or "").split()
            incarnation = int(number)
            with socket.create_connection((host, int(port)), timeout=HANDSHAKE_S) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._introduce(connection, f"{host} {port}")
                connection.settimeout(None)
                threading.Thread(target=self._watch, args=(connection, incarnation), daemon=True).start()
                while True:
                    tag, header, parts = self._queue.get()
                    self._finished = tag == BYE  # before it is sent: the peer closes once it has read it
                    body_bytes = sum(part.nbytes for part in parts)
                    connection.sendall(FRAME.pack(tag, len(header), body_bytes) + header)
                    if self._finished:
                        connection.shutdown(socket.SHUT_WR)
                        return
                    for part in parts:
                        connection.sendall(part)
        except (OSError, RuntimeError):  # refused or reset; RuntimeError: the store is gone
            self.dead = True
            if to not in transport._incoming:
                transport.lose(to, incarnation)

    def _introduce(self, connection: socket.socket, address: str) -> None:
        """Prove to each other that both ends belong to this job, and that no relay is between them."""
        transport, mine = self.transport, nonce()
        theirs = _receive(connection, NONCE_BYTES).tobytes()
        said = (address, theirs, transport.rank, transport.incarnation)
        given = proof(transport.secret, "hello", *said)
        connection.sendall(HELLO.pack(transport.rank, transport.incarnation, mine, given))
        answer = _receive(connection, PROOF_BYTES).tobytes()
        if not proves(answer, transport.secret, "welcome", address, mine):
            raise ConnectionError(f"what listens at {address} is not learner {self.to} of this job")

    def _watch(self, connection: socket.socket, incarnation: int) -> None:
        """Nothing ever comes back on this connection but its end: the peer is gone, even if it never wrote
        to us."""
        with contextlib.suppress(OSError):
            connection.recv(1)
        self.dead = True
        # While its own stream is open, what it has sent is read to the end first.
        if not self._finished and self.to not in self.transport._incoming:
            self.transport.lose(self.to, incarnation)


def incarnation_at(store: SignedStore, key: str) -> int:
    """The incarnation written there, 0 if none. Raises Tampered."""
    try:
        return int(store.get(key) or 0)
    except Tampered:
        raise
    except RuntimeError:  # the store is gone
        return 0


def _receive_message(connection: socket.socket, header_bytes: int, body_bytes: int) -> Message:
    """Raises ConnectionError, before memory is taken for a body that no header describes."""
    if header_bytes > wire.MOST_HEADER_BYTES or body_bytes > wire.MOST_BYTES:
        raise BadHeader(f"a frame announces {header_bytes} bytes of header and {body_bytes} of tensors")
    described = wire.parse_header(_receive(connection, header_bytes).tobytes(), body_bytes)
    return Message(described, _receive(connection, body_bytes))


def _receive(connection: socket.socket, size: int) -> Body:
    """Exactly `size` bytes. Raises ConnectionError where the stream ends before."""
    # A bytearray would be filled with zeros first, and the interpreter's lock held for that long.
    body = np.empty(size, np.uint8)
    view = body.data
    while view:
        count = connection.recv_into(view, len(view), socket.MSG_WAITALL)
        if count == 0:
            raise ConnectionError("the peer closed the connection")
        view = view[count:]
    return body
