"""How the learners of one host meet whose GPUs can write into each other's memory."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Sequence
from contextlib import AbstractContextManager

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore

from dasr.worlds.interface import Accounts, ApplyPart, PeerLost
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.peer_memory.region import PeerRegion
from dasr.worlds.peer_memory.sharded_update import PeerShardedUpdate
from dasr.worlds.peer_memory.signals import MEETING, Signals
from dasr.worlds.peer_memory.symmetric import SymmetricMemory
from dasr.worlds.process.activities import Activities, BlockingAwaitable
from dasr.worlds.process.store_client import StoreClient
from dasr.worlds.process.transport import Transport

logger = logging.getLogger(__name__)

SWITCH = "DASR_PEER_MEMORY"  # environment variable; 0 selects NCCL
PAUSE_S = 1e-3  # between two looks at the store
LOOK_EVERY = 1000  # of them: whether a learner is lost


def meet(
    transport: Transport, store_client: StoreClient, nodes: Sequence[int], device: torch.device
) -> PeerMemory | None:
    """Meet the learners of this host, all of which call this. `nodes`: of each learner. None where there are
    no others, where one's GPU cannot be reached, or where this learner replaces another. Raises PeerLost."""
    own, store = transport.rank, transport.store
    ranks = tuple(rank for rank, node in enumerate(nodes) if node == nodes[own])
    if len(ranks) == 1:
        return None
    if transport.incarnation > 1 or os.environ.get(SWITCH) == "0":
        replaces = transport.incarnation > 1
        logger.info("peer memory is off: %s", "a replacement uses NCCL" if replaces else f"{SWITCH}=0")
        return None

    def answers(key: str) -> list[str]:
        return [_answer(transport, store_client, ranks, f"{key}/{rank}") for rank in ranks]

    store.set(f"gpu/{own}", _name(device))
    store.set(f"gpu-reaches/{own}", str(_reaches(device, answers("gpu"))))
    reaching = zip(ranks, answers("gpu-reaches"), strict=True)
    unreachable = [rank for rank, reaches in reaching if reaches != "True"]
    if unreachable:
        logger.warning(f"GPUs of learners {unreachable} do not reach all others: NCCL instead of peer memory")
        return None
    place = ranks.index(own)
    group = dist.ProcessGroup(PrefixStore(f"peers/{nodes[own]}", store.clone()), place, len(ranks))
    allocator = SymmetricMemory(group, device)
    signals = _signals(allocator, place, len(ranks))
    store.set(f"gpu-signals/{own}", str(signals is not None))
    if not all(answer == "True" for answer in answers("gpu-signals")):
        return None
    logger.info("learner %d: peer memory with learners %s", own, list(ranks))
    assert signals is not None
    return PeerMemory(PeerRegion(allocator, ranks, own, signals))


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


class AccountedShardedUpdate:
    """A ShardedUpdate of the gradient loop: its stream waits for the others', its thread for nothing."""

    def __init__(self, activities: Activities, accounts: Accounts, update: PeerShardedUpdate):
        self.activities, self.accounts, self._update = activities, accounts, update

    def send(self, part: slice) -> None:
        self.accounts.sent(self._update.send(part), 2 * len(self._update.others))

    def update(self, applying: AbstractContextManager[ApplyPart]) -> list[tuple[slice, Awaitable[None]]]:
        return [
            (where, BlockingAwaitable(self.activities, there))
            for where, there in self._update.update(applying)
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


def _answer(transport: Transport, store_client: StoreClient, ranks: tuple[int, ...], key: str) -> str:
    """What a learner of this host wrote there, once it has."""
    store, looks = transport.store, 0
    while not store.check([key]):
        time.sleep(PAUSE_S)
        looks += 1
        lost = store_client.find_lost(ranks) if looks % LOOK_EVERY == 0 else None
        if lost is not None:
            raise PeerLost(lost)
    answer: str = store.get(key).decode()
    return answer
