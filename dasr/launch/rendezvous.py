"""Where supervisors meet: the coordinator's address, JSON lines between them, the learners' store."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from dasr.files import write_json
from dasr.launch.active_clock import ActiveClock

if TYPE_CHECKING:
    from torch._C._distributed_c10d import TCPStore

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


def candidate_hosts(nodes: int) -> tuple[str, ...]:
    """Names under which other nodes may know this host, the best first.

    On one node loopback, which always works; on several the interface that the user has named for gloo, else
    this host's names and addresses."""
    if nodes == 1:
        return ("127.0.0.1",)
    addresses = {
        card: [entry.address for entry in entries if entry.family == socket.AF_INET]
        for card, entries in psutil.net_if_addrs().items()
    }
    if named := addresses.get(os.environ.get("GLOO_SOCKET_IFNAME", "")):
        return (named[0],)
    names = [os.environ.get("SLURMD_NODENAME", ""), socket.gethostname(), socket.getfqdn()]
    others = [address for card, found in addresses.items() if card != "lo" for address in found]
    return tuple(dict.fromkeys(name for name in [*names, *others] if name))


def listening_socket(hosts: Sequence[str]) -> socket.socket:
    """A TCP socket on a free port: on that address where `hosts` is just one, else on all interfaces."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((hosts[0] if len(hosts) == 1 else "", 0))
    listening.listen(1024)
    return listening


def host_store(listening: socket.socket, timeout_s: float = 300.0) -> TCPStore:
    """The learners' c10d store, served by this process on `listening` (taken over)."""
    from torch._C._distributed_c10d import TCPStore

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
            async with asyncio.timeout(5):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            pass


async def connect(run_folder: Path, hello: Message, within_s: float) -> tuple[JsonConnection, str]:
    """Find the coordinator of this attempt, say `hello`, be welcomed: (line, the host name that worked).

    Raises TimeoutError naming the file that was read."""
    awake = ActiveClock(often_s=30.0)  # an address that does not answer takes 15 s
    while awake() < within_s:
        address = Address.read(run_folder)
        if address and (address.token, address.restart) == (hello["token"], hello["restart"]):
            for host in address.hosts:
                try:
                    async with asyncio.timeout(5):
                        reader, writer = await asyncio.open_connection(host, address.port, limit=1 << 20)
                except (TimeoutError, OSError):
                    continue
                connection = JsonConnection(reader, writer)
                connection.send(**hello)
                if await connection.receive(10) == {"do": "welcome"}:
                    return connection, host
                await connection.close()
        await asyncio.sleep(0.2)
    raise TimeoutError(
        f"no coordinator answered within {within_s:.0f} s at the address in {Address.path(run_folder)}: is "
        "the run folder on a file system that all nodes share, and may nodes reach each other's ports?"
    )
