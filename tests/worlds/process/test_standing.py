"""Activities that wait are found, with what they wait for and the line that does."""

from __future__ import annotations

import os
import threading
from typing import Any

from dasr.worlds.process.local_launch import run_processes
from dasr.worlds.process.standing import standing
from dasr.worlds.process.world import ProcessWorld


def _waiting(world: ProcessWorld) -> list[str]:
    """Learner 0 waits for learner 1 with two activities until it has said where they stand."""
    seen: list[str] = []

    async def listen() -> None:
        await world.receive(1, tag=7)

    async def train() -> None:
        if world.rank == 0:
            listening = world.spawn(listen(), "listener")
            threading.Thread(target=look, daemon=True).start()
            await world.receive(1, tag=4)
            await listening
        else:
            await world.receive(0, tag=1)
            for tag in (4, 7):
                await world.send((), 0, tag)

    def look() -> None:
        while len(lines := [line for line in standing() if "waits" in line]) < 2:
            pass
        seen.extend(lines)
        world.transport.send(1, 1, ())

    world.run(train())
    return seen


def test_each_activity_is_described_by_what_it_waits_for_and_where() -> None:
    lines: list[Any] = run_processes(2, _waiting)[0]
    name = os.path.basename(__file__)
    assert lines[0].startswith("'listener': waits for a message (tag 7) from learner 1, in ")
    assert lines[1].startswith("'main': waits for a message (tag 4) from learner 1, in ")
    assert name in lines[0] and lines[0].endswith("in listen: await world.receive(1, tag=7)")
    assert name in lines[1] and lines[1].endswith("in train: await world.receive(1, tag=4)")
