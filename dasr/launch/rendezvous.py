"""Where supervisors meet: the coordinator's address, JSON lines between them, the learners' store."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from dasr.files import write_json
from dasr.launch.active_clock import ActiveClock
from dasr.worlds.process import authentication

if TYPE_CHECKING:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

Message = dict[str, Any]


@dataclass(frozen=True)
class Address:
    """store.json: where the coordinator of this attempt listens. A new port at every (re)start."""

    token: str  # of the job
    restart: int  # how often the cluster has requeued the job
    hosts: tuple[str, ...]  # names to try, the best first
    port: int

    @staticmethod
    def path(run_folder: Path) -> Path:
        return run_folder / "store.json"

    def publish(self, run_folder: Path) -> None:
        write_json(self.path(run_folder), asdict(self))

    @classmethod
    def read(cls, run_folder: Path) -> Address | None:
        try:
            given = json.loads(cls.path(run_folder).read_text(encoding="utf-8"))
            return cls(**{**given, "hosts": tuple(given["hosts"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None


def reachable_at(nodes: int) -> tuple[tuple[str, ...], str]:
    """Names under which other nodes may know this host, the best first; and the address to listen at.

    On one node loopback, which always works; on several the interface that the user has named for gloo, else
    the one of this host's name. Where that name is loopback's (Debian's 127.0.1.1) all interfaces ("") are
    listened at, and all of this host's addresses are names."""
    if nodes == 1:
        return ("127.0.0.1",), "127.0.0.1"
    addresses = {
        card: [entry.address for entry in entries if entry.family == socket.AF_INET]
        for card, entries in psutil.net_if_addrs().items()
    }
    if named := addresses.get(os.environ.get("GLOO_SOCKET_IFNAME", "")):
        return (named[0],), named[0]
    others = [address for card, found in addresses.items() if card != "lo" for address in found]
    names = [os.environ.get("SLURMD_NODENAME", ""), socket.gethostname(), socket.getfqdn()]
    names = [name for name in dict.fromkeys(names) if name]
    for name in names:
        with contextlib.suppress(OSError):
            if (address := socket.gethostbyname(name)) in others:
                return (name, address), address
    return (*names, *others), ""


def listening_socket(address: str) -> socket.socket:
    """A TCP socket on a free port of that address ("": of all interfaces)."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((address, 0))
    listening.listen(1024)
    return listening


def host_store(listening: socket.socket, timeout_s: float) -> TCPStore:
    """The learners' c10d store, served by this process on `listening` (taken over)."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    address, port = listening.getsockname()
    return TCPStore(
        "127.0.0.1" if address == "0.0.0.0" else address,  # for the server's own client
        port,
        is_master=True,
        wait_for_workers=False,
        timeout=datetime.timedelta(seconds=timeout_s),
        master_listen_fd=listening.detach(),
    )


class JsonConnection:
    """JSON messages, one a line, over a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer

    def send(self, **message: Any) -> None:
        """Queue a message. A broken connection shows when receiving."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def receive(self, within_s: float) -> Message | None:
        """The next message; None when the other end has gone or said nothing for `within_s` in which this
        process could hear it."""
        reading, awake = asyncio.ensure_future(self._reader.readline()), ActiveClock(often_s=1.5)
        try:
            while not reading.done() and (left := within_s - awake()) > 0:
                await asyncio.wait({reading}, timeout=min(1.0, left))
            line = reading.result() if reading.done() else b""
            message = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            return None
        finally:
            reading.cancel()
        return message if isinstance(message, dict) else None

    @property
    def local_address(self) -> str:
        return str(self._writer.get_extra_info("sockname")[0])

    async def close(self) -> None:
        try:
            async with asyncio.timeout(5):  # the other end may have stopped reading
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            pass


async def welcome(connection: JsonConnection, secret: bytes, within_s: float) -> Message | None:
    """The coordinator's side of `introduce`: the hello of a supervisor that knows the secret, else None."""
    try:
        hello = await connection.receive(within_s) or {}
        challenge = authentication.nonce().hex()
        answer = authentication.proof(secret, "coordinator", hello["nonce"]).hex()
        connection.send(challenge=challenge, proof=answer)
        given = bytes.fromhex((await connection.receive(within_s) or {})["proof"])
        known = authentication.proves(given, secret, "supervisor", hello["rank"], challenge)
        return hello if known else None
    except (KeyError, TypeError, ValueError):
        return None


async def introduce(connection: JsonConnection, hello: Message, secret: bytes, within_s: float) -> bool:
    """Say `hello`, and whether this was the coordinator and it welcomes us: both prove the secret."""
    try:
        nonce = authentication.nonce().hex()
        connection.send(**hello, nonce=nonce)
        answer = await connection.receive(within_s) or {}
        if not authentication.proves(bytes.fromhex(answer["proof"]), secret, "coordinator", nonce):
            return False
        given = authentication.proof(secret, "supervisor", hello["rank"], answer["challenge"]).hex()
        connection.send(proof=given)
        return await connection.receive(within_s) == {"do": "welcome"}
    except (KeyError, TypeError, ValueError):
        return False


async def connect(
    run_folder: Path, hello: Message, secret: bytes, within_s: float
) -> tuple[JsonConnection, str]:
    """Find the coordinator of this attempt, say `hello`, be welcomed: (connection, the host that worked).

    Raises TimeoutError naming the file that was read."""
    awake = ActiveClock(often_s=30.0)  # an address that does not answer takes 15 s
    while awake() < within_s:
        address = Address.read(run_folder)
        if address and (address.token, address.restart) == (hello["token"], hello["restart"]):
            for host in address.hosts:
                try:
                    async with asyncio.timeout(5):  # for this name; all are tried until within_s
                        reader, writer = await asyncio.open_connection(host, address.port, limit=1 << 20)
                except (TimeoutError, OSError):
                    continue
                connection = JsonConnection(reader, writer)
                if await introduce(connection, hello, secret, within_s - awake()):
                    return connection, host
                await connection.close()
        await asyncio.sleep(0.2)
    raise TimeoutError(
        f"no coordinator answered within {within_s:.0f} s at the address in {Address.path(run_folder)}: is "
        "the run folder on a file system that all nodes share, and may nodes reach each other's ports?"
    )
