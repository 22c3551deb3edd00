"""Which learners of this host can write into each other's GPUs, and the memory they do it in."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore

from dasr.worlds.interface import ApplyPart, Payload, PeerLost
from dasr.worlds.peer_memory.region import PeerMemory
from dasr.worlds.peer_memory.sharded_update import PeerShardedUpdate
from dasr.worlds.peer_memory.signals import MEETING, Signals
from dasr.worlds.peer_memory.symmetric import SymmetricMemory
from dasr.worlds.process.activities import BlockingAwaitable, failing, run_now

if TYPE_CHECKING:
    from dasr.worlds.process.world import ProcessWorld

logger = logging.getLogger(__name__)

SWITCH = "DASR_PEER_MEMORY"  # environment variable; 0 selects NCCL
LOOK_S = 1.0


def meet(world: ProcessWorld) -> PeerMemory | None:
    """Meet the learners of this host, all of which call this. None where there are none, where one's GPU
    cannot be reached, or where this learner replaces another. Raises PeerLost."""
    ranks = tuple(rank for rank in range(world.size) if world.nodes[rank] == world.nodes[world.rank])
    store = world.transport.store
    if len(ranks) == 1:
        return None
    if world.transport.incarnation > 1 or os.environ.get(SWITCH) == "0":
        replaces = world.transport.incarnation > 1
        logger.info("peer memory is off: %s", "a replacement uses NCCL" if replaces else f"{SWITCH}=0")
        return None
    store.set(f"gpu/{world.rank}", _name(world.device))
    gpus = [_answer(world, ranks, f"gpu/{rank}") for rank in ranks]
    store.set(f"gpu-reaches/{world.rank}", str(_reaches(world.device, gpus)))
    unreachable = [rank for rank in ranks if _answer(world, ranks, f"gpu-reaches/{rank}") != "True"]
    if unreachable:
        logger.warning(f"GPUs of learners {unreachable} do not reach all others: NCCL instead of peer memory")
        return None
    place, node = ranks.index(world.rank), world.nodes[world.rank]
    group = dist.ProcessGroup(PrefixStore(f"peers/{node}", store.clone()), place, len(ranks))
    allocator = SymmetricMemory(group, world.device)
    signals = _signals(allocator, place, len(ranks))
    store.set(f"gpu-shares/{world.rank}", str(signals is not None))
    if not all(_answer(world, ranks, f"gpu-shares/{rank}") == "True" for rank in ranks):
        return None
    logger.info("learner %d: peer memory with learners %s", world.rank, list(ranks))
    assert signals is not None
    return PeerMemory(allocator, ranks, world.rank, signals)


def _signals(allocate: SymmetricMemory, place: int, places: int) -> Signals | None:
    """None where the driver does not let processes share memory; some containers forbid it."""
    try:
        signals = Signals(allocate, places, place)
        signals.put(range(places), MEETING)
        signals.wait([place], MEETING)  # its own: another may have failed
        torch.cuda.synchronize(allocate.device)
    except (ImportError, RuntimeError) as error:
        logger.warning(f"GPUs of this host do not share memory ({error}): NCCL instead of peer memory")
        return None
    return signals


def exchange(
    world: ProcessWorld, memory: PeerMemory, payload: Payload, peer: int, tag: int, in_gradient_loop: bool
) -> Awaitable[Payload]:
    """In the gradient loop the stream waits for the partner's, and the thread for nothing. Other activities
    send each other a message when the payload is there, so that they can go on without a lost partner."""
    if in_gradient_loop:
        return BlockingAwaitable(world.activities, memory.buffers.exchange(payload, peer))
    try:
        turn = torch.tensor([memory.buffers.push(payload, peer)], dtype=torch.uint8)
        world.transport.send(peer, tag, (turn,))
    except BaseException as error:
        return BlockingAwaitable(world.activities, failing(error))
    told = world.receive(peer, tag)

    def received() -> Payload:
        (turn,) = run_now(told)
        return memory.buffers.window(payload, peer, int(turn))

    return BlockingAwaitable(world.activities, received, waits=False)  # `told` counts it


def sharded_update(
    world: ProcessWorld, vector: Tensor, target: Tensor, members: tuple[int, ...]
) -> AccountedShardedUpdate | None:
    """Where there is one in the memory of the GPUs."""
    shares = None if world.peers is None else world.peers.sharded_update(vector, target, members)
    return None if shares is None else AccountedShardedUpdate(world, shares)


class AccountedShardedUpdate:
    """A ShardedUpdate of the gradient loop: its stream waits for the others', its thread for nothing."""

    def __init__(self, world: ProcessWorld, shares: PeerShardedUpdate):
        self.world, self.shares = world, shares

    def send(self, part: slice) -> None:
        self.world._account(self.shares.send(part), 2 * len(self.shares.others))

    def update(self, applying: AbstractContextManager[ApplyPart]) -> list[tuple[slice, Awaitable[None]]]:
        return [
            (where, BlockingAwaitable(self.world.activities, there))
            for where, there in self.shares.update(applying)
        ]


def _name(device: torch.device) -> str:
    return str(torch.cuda.get_device_properties(device).uuid)


def _reaches(device: torch.device, gpus: list[str]) -> bool:
    """Whether this process sees those GPUs, no two the same, and its own can write into the others."""
    if len(set(gpus)) < len(gpus):
        return False
    here = {_name(torch.device("cuda", index)): index for index in range(torch.cuda.device_count())}
    others = [gpu for gpu in gpus if gpu != _name(device)]
    return all(gpu in here and torch.cuda.can_device_access_peer(device, here[gpu]) for gpu in others)


def _answer(world: ProcessWorld, ranks: tuple[int, ...], key: str) -> str:
    """What a learner of this host wrote there, once it has."""
    store, deadline, look = world.transport.store, time.monotonic() + world.transport.timeout_s, 0.0
    while not store.check([key]):
        time.sleep(1e-3)
        if time.monotonic() > look:
            look = time.monotonic() + LOOK_S
            lost = world.store_client.find_lost(ranks) if look > LOOK_S else None
            if lost is not None:
                raise PeerLost(lost)
        if time.monotonic() > deadline:
            raise TimeoutError(f"no learner of this host has written '{key}'")
    answer: str = store.get(key).decode()
    return answer
