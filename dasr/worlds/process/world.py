"""`ProcessWorld`: learners are processes. Each activity has a thread of its own, and each await is a blocking
call.

    world = connect(store, rank, size, nodes, device)
    world.run(main(world))
    world.close()

`store` is a c10d store that outlives any learner (hosted by a supervisor). Keys written into it:
`incarnation/`, `address/`, `dead/`, `left/` and a rank; `count/` and a name; `roll/` and a number; `group/`.
Read: `lost/` and a rank, which the coordinator sets for a learner that is gone though its connections may
look alive (a dead node, a hung process).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from dasr.cuda import streams
from dasr.worlds.interface import (
    GRADIENT_LOOP,
    Accounts,
    Payload,
    Ready,
    RollCall,
    ShardedUpdate,
    bytes_of,
)
from dasr.worlds.peer_memory.exchange import ExchangeBuffers
from dasr.worlds.peer_memory.memory import PeerMemory
from dasr.worlds.process import peers, wire
from dasr.worlds.process.activities import (
    Activities,
    BlockingAwaitable,
    ProcessEvent,
    ProcessLock,
    failing,
    ignore,
    no_op,
    run_now,
)
from dasr.worlds.process.collectives import Collectives
from dasr.worlds.process.store_client import StoreClient
from dasr.worlds.process.transport import SLICE_S, Transport

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

logger = logging.getLogger(__name__)

T = TypeVar("T")


def connect(
    store: Store,
    rank: int,
    size: int,
    nodes: Sequence[int] | None = None,
    device: str | torch.device = "cpu",
    timeout_s: float = 1800.0,
    secret: bytes = b"",
) -> ProcessWorld:
    """Learner `rank` of `size`. `timeout_s`: a collective that lasts longer has failed. `secret`: what the
    job's processes prove to each other that they know."""
    return ProcessWorld(store, rank, size, nodes or [0] * size, torch.device(device), timeout_s, secret)


class ProcessWorld:
    """One learner's view of a run on processes; see `dasr.worlds.interface.World`."""

    concurrent = True

    def __init__(
        self,
        store: Store,
        rank: int,
        size: int,
        nodes: Sequence[int],
        device: torch.device,
        timeout_s: float,
        secret: bytes = b"",
    ) -> None:
        self.rank = rank
        self.size = size
        self.nodes: Sequence[int] = list(nodes)
        self.accounts = Accounts()
        self.device = device
        self.activities = Activities(device, self.accounts)
        host = wire.own_address(store)
        self.transport = Transport(store, rank, host, secret)
        self.transport.inbox.others = size - 1
        collectives = "NCCL" if device.type == "cuda" else "gloo"
        logger.info(
            "learner %d: %s, collectives over %s, messages over TCP at %s", rank, device, collectives, host
        )
        self.store_client = StoreClient(self.transport, size)
        self.collectives = Collectives(self.transport, host, timeout_s, self.store_client.find_lost)
        self.peers: PeerMemory | None = None  # the GPUs of this host, once something shared was asked for
        self._met_peers = False
        self._everyone = tuple(range(size))
        self._began = time.perf_counter()

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Drive the learner's main activity to its end, in this thread."""
        return self.activities.run(main)

    def close(self) -> None:
        """Send what was handed over, say goodbye. A world that is not closed counts as dead when its process
        ends."""
        self.transport.close()

    def now(self) -> float:
        return time.perf_counter() - self._began

    def sleep(self, seconds: float) -> Awaitable[None]:
        return BlockingAwaitable(self.activities, lambda: time.sleep(seconds), waits=False)

    def device_synchronize(self) -> Awaitable[None]:
        return BlockingAwaitable(self.activities, lambda: streams.synchronize(self.device), waits=False)

    def compute(self, work: Callable[[Ready], None], ready: Ready | None = None) -> Awaitable[None]:
        self.activities.computes()
        start = time.perf_counter()
        ready = ready or ignore
        work(ready if self.peers is None else self.peers.buffers.start_during_backward(ready))
        self.accounts.compute_seconds += time.perf_counter() - start
        return BlockingAwaitable(self.activities, no_op, waits=False)

    def send(self, payload: Payload, to: int, tag: int = 0) -> Awaitable[None]:
        self.accounts.sent(bytes_of(payload), 1)
        try:
            self.transport.send(to, tag, payload)
        except BaseException as error:
            return BlockingAwaitable(self.activities, failing(error))
        return BlockingAwaitable(self.activities, no_op)

    def receive(self, source: int, tag: int = 0) -> Awaitable[Payload]:
        self.transport.connection(source)  # so that its death is seen
        inbox = self.transport.inbox
        return BlockingAwaitable(
            self.activities,
            lambda: wire.unpack(self._until(lambda: inbox.take(source, tag)), self.device),
        )

    def receive_any(self, tag: int = 0) -> Awaitable[tuple[int, Payload]]:
        for rank in range(self.size):
            if rank != self.rank:
                self.transport.connection(rank)

        def take() -> tuple[int, Payload]:
            source, message = self._until(lambda: self.transport.inbox.take_any(tag))
            return source, wire.unpack(message, self.device)

        return BlockingAwaitable(self.activities, take)

    def exchange(self, payload: Payload, peer: int, tag: int = 0) -> Awaitable[Payload]:
        if self.peers is not None and self.peers.buffers.can_exchange(payload, peer, self.activities.name):
            self.peers.buffers.claim_for(self.activities.name)
            self.accounts.sent(bytes_of(payload), 1)
            if (
                self.activities.name == GRADIENT_LOOP
            ):  # its stream waits for the partner's, its thread for nothing
                return BlockingAwaitable(self.activities, self.peers.buffers.exchange(payload, peer))
            return self._push(self.peers.buffers, payload, peer, tag)
        if self._on_device(payload):
            gathered = self._gather(payload, (min(self.rank, peer), max(self.rank, peer)))
            return BlockingAwaitable(self.activities, lambda: gathered()[peer > self.rank])
        sent = self.send(payload, peer, tag)
        received = self.receive(peer, tag)
        shapes = [(part.dtype, part.shape) for part in payload]

        def finish() -> Payload:
            run_now(sent)
            return wire.check_alike(shapes, run_now(received), peer)

        return BlockingAwaitable(self.activities, finish, waits=False)  # the two count their own waiting

    def _push(self, buffers: ExchangeBuffers, payload: Payload, peer: int, tag: int) -> Awaitable[Payload]:
        """Copy into the partner's buffer, and say so in a message once the payload is there: an activity
        beside the gradient loop can then go on without a lost partner."""
        try:
            turn = torch.tensor([buffers.push(payload, peer)], dtype=torch.uint8)
            self.transport.send(peer, tag, (turn,))
        except BaseException as error:
            return BlockingAwaitable(self.activities, failing(error))
        marker = self.receive(peer, tag)

        def received() -> Payload:
            (turn,) = run_now(marker)
            return buffers.window(payload, peer, int(turn))

        return BlockingAwaitable(self.activities, received, waits=False)  # `marker` counts it

    def symmetric_like(self, like: Tensor) -> Tensor:
        if like.is_cuda and not self._met_peers:
            self._met_peers = True
            self.peers = peers.meet(self.transport, self.store_client, self.nodes, self.device)
        return torch.zeros_like(like) if self.peers is None else self.peers.region.symmetric_like(like)

    def _until(self, look: Callable[[], T | None]) -> T:
        """What `look` finds in the inbox, as soon as it is there."""
        while (found := self.transport.inbox.wait(look, SLICE_S)) is None:
            self.activities.check()
            self.store_client.look()
        return found

    def all_reduce(
        self, buffer: Tensor, group: Sequence[int] | None = None, op: str = "mean", out: Tensor | None = None
    ) -> Awaitable[Tensor]:
        if op not in ("mean", "sum"):
            raise ValueError(f"all_reduce knows 'mean' and 'sum', not '{op}'")
        members = self._everyone if group is None else tuple(group)
        size = 2 * (len(members) - 1) * buffer.numel() * buffer.element_size() / len(members)
        self.accounts.sent(size, 2 * (len(members) - 1))
        over_nccl, target = self._on_device((buffer,)), buffer if out is None else out
        if over_nccl and self.peers is not None and self.peers.can_reduce(target, members):
            return BlockingAwaitable(self.activities, self.peers.all_reduce(buffer, members, op, out))
        if out is not None:
            buffer = out.copy_(buffer)
        if len(members) == 1:
            return BlockingAwaitable(self.activities, lambda: buffer)
        try:
            return BlockingAwaitable(
                self.activities, self.collectives.reduce(buffer, op, members, self.activities.name, over_nccl)
            )
        except BaseException as error:
            return BlockingAwaitable(self.activities, failing(error))

    def sharded_update(
        self, vector: Tensor, target: Tensor, group: Sequence[int] | None = None
    ) -> ShardedUpdate | None:
        if self.peers is None:
            return None
        members = self._everyone if group is None else tuple(group)
        update = self.peers.sharded_update(vector, target, members)
        return (
            None if update is None else peers.AccountedShardedUpdate(self.activities, self.accounts, update)
        )

    def all_gather(self, payload: Payload, group: Sequence[int] | None = None) -> Awaitable[list[Payload]]:
        members = self._everyone if group is None else tuple(group)
        try:
            return BlockingAwaitable(self.activities, self._gather(payload, members))
        except BaseException as error:
            return BlockingAwaitable(self.activities, failing(error))

    def _on_device(self, payload: Payload) -> bool:
        """Whether this goes over NCCL: tensors of the gradient loop, whose collectives have one order."""
        return self.activities.name == GRADIENT_LOOP and all(part.is_cuda for part in payload)

    def _gather(self, payload: Payload, members: tuple[int, ...]) -> Callable[[], list[Payload]]:
        self.accounts.sent((len(members) - 1) * bytes_of(payload), len(members) - 1)
        return self.collectives.gather(payload, members, self.activities.name, self._on_device(payload))

    def spawn(self, activity: Coroutine[Any, Any, None], name: str) -> Awaitable[None]:
        return self.activities.spawn(activity, name)

    def event(self) -> ProcessEvent:
        return ProcessEvent(self.activities)

    def lock(self) -> ProcessLock:
        return ProcessLock(self.activities)

    def count(self, name: str, amount: int) -> Awaitable[int]:
        before = self.store_client.count(name, amount)
        return BlockingAwaitable(self.activities, lambda: before)

    def roll_call(self, yes: bool, *values: float) -> Awaitable[RollCall]:
        number = self.store_client.answer(yes, values)
        return BlockingAwaitable(
            self.activities, lambda: self._seen(self.store_client.result(number, self.activities.check))
        )

    def _seen(self, call: RollCall) -> RollCall:
        if self.peers is not None:
            self.peers.region.note_replacements(call)
        return call
