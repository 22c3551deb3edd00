"""Supervisors meet their coordinator, however late; strangers do not get between them."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from dasr.launch import supervisor
from dasr.launch.job_record import read_secret, write_secret
from dasr.launch.rendezvous import JsonConnection, introduce, reachable_at, welcome
from tests.launch.conftest import FakeTask, RunJob


async def ends() -> tuple[JsonConnection, JsonConnection]:
    """Both ends of a connection."""
    accepted: asyncio.Future[JsonConnection] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(
        lambda reader, writer: accepted.set_result(JsonConnection(reader, writer)), "127.0.0.1", 0
    )
    host, port = server.sockets[0].getsockname()
    mine = JsonConnection(*await asyncio.open_connection(host, port))
    return mine, await accepted


def test_a_supervisor_and_a_coordinator_of_one_job_welcome_each_other() -> None:
    async def meet() -> tuple[object, bool]:
        mine, theirs = await ends()
        asking = asyncio.create_task(introduce(mine, {"rank": 1}, b"secret", 30))
        hello = await welcome(theirs, b"secret", 30)
        theirs.send(do="welcome")
        return hello, await asking

    hello, welcomed = asyncio.run(meet())
    assert isinstance(hello, dict) and hello["rank"] == 1 and welcomed


def test_who_does_not_know_the_secret_is_neither_welcomed_nor_believed() -> None:
    async def meet() -> tuple[object, bool]:
        mine, theirs = await ends()
        asking = asyncio.create_task(introduce(mine, {"rank": 1}, b"a guess", 30))
        hello = asyncio.create_task(welcome(theirs, b"secret", 30))
        believed = await asking
        await mine.close()
        return await hello, believed

    assert asyncio.run(meet()) == (None, False)


def test_what_a_stranger_sends_instead_of_an_introduction_is_survived() -> None:
    async def meet(first: dict[str, object]) -> object:
        mine, theirs = await ends()
        mine.send(**first)
        mine.send(proof="zz")
        return await welcome(theirs, b"secret", 30)

    hellos: list[dict[str, object]] = [
        {"rank": 0},
        {"rank": 0, "nonce": [1]},
        {"nonce": "00"},
        {"rank": 0, "nonce": "00"},
    ]
    for first in hellos:
        assert asyncio.run(meet(first)) is None


def test_only_the_user_can_read_the_secret_of_a_job(tmp_path: Path) -> None:
    write_secret(tmp_path)
    first = read_secret(tmp_path)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600 and len(first) == 32
    write_secret(tmp_path)
    assert read_secret(tmp_path) != first, "each job has its own"


def test_supervisors_that_are_early_wait_for_the_last_one(job: RunJob) -> None:
    """Longer than a silence may last: they hear the coordinator from their welcome on."""

    async def come_late(tasks: list[supervisor.Supervisor]) -> None:
        await asyncio.sleep(12.0)
        late = supervisor.Supervisor(tasks[0]._plan, FakeTask(2, 3))
        await late.run()

    outcome = job(present=[0, 1], meanwhile=come_late, silence_s=4.0)
    assert outcome.state == "finished"


@pytest.mark.parametrize("named", [None, "192.0.2.7"])
def test_several_nodes_listen_at_the_interface_of_their_name(
    monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    entry = SimpleNamespace(family=socket.AF_INET, address="192.0.2.7")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"ib0": [entry]})
    monkeypatch.setattr(socket, "gethostbyname", lambda name: named or "127.0.1.1")
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("SLURMD_NODENAME", "n1")
    hosts, address = reachable_at(2)
    if named:
        assert (hosts, address) == (("n1", named), named)
    else:
        assert address == "" and hosts[0] == "n1" and hosts[-1] == "192.0.2.7"
    assert reachable_at(1) == (("127.0.0.1",), "127.0.0.1"), "one node: nobody else can reach it"
