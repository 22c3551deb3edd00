"""The world that a learner lives in: time, communication, activities. What strategies are written against.

Two worlds implement it: `dasr.worlds.process` (learners are processes, on CPUs or GPUs) and
`dasr.worlds.simulated` (all learners in one process, on a virtual clock).

Communication starts when a method is called; the awaitable that it returns ends when it is complete. So a
strategy overlaps communication and computing by awaiting late. What a caller may do with its buffers:

    send         The payload is copied at the call. The awaitable ends once the world has taken the message;
                 a few messages to each learner may be on their way, the next send waits.
    exchange     The payload must not change until the awaitable ends. The tensors that it returns stay valid
                 until the second-next exchange with that peer starts.
    all_reduce   The buffer must not change until the awaitable ends.
    all_gather   The payload must not change until the awaitable ends.

A learner has one or more activities, which run concurrently. It starts with the gradient loop, and spawn()
starts others. Each activity has a sequence of collectives of its own: the n-th collective of an activity on a
group meets the n-th collective on that group of the activity of the same name on other learners.

On GPUs the activity also decides which transport is used:

    gradient loop      Collectives and exchanges of GPU tensors use symmetric memory where it is available and
                       NCCL elsewhere. The stream waits for them, the thread does not.
    other activities   Collectives use gloo. Exchanges use symmetric memory if this activity was the first of
                       its learner to exchange, and TCP otherwise. The thread waits, so that a lost peer is
                       noticed (PeerLost) and the activity can go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

Payload = tuple[Tensor, ...]
"""What is sent: a tuple of tensors. Their dtypes and shapes travel with them."""


def bytes_of(payload: Payload) -> int:
    """Bytes of the tensors, without any header. Raises TypeError where it is not a tuple."""
    if not isinstance(payload, tuple):
        raise TypeError(f"a payload is a tuple of tensors, not a {type(payload).__name__}: send (tensor,)")
    if len(payload) == 1:  # nearly always
        return payload[0].nbytes
    return sum([part.nbytes for part in payload])


ALL = slice(None)  # the whole of a vector
GRADIENT_LOOP = "main"  # the name of the activity that a learner starts with
Ready = Callable[[Tensor], None]
"""`ready(part)`: called by a backward pass with each slice of the gradient once it is final, last layers
first."""


class PeerLost(Exception):
    """Learner `rank`, which an operation needs, has died or left."""

    def __init__(self, rank: int):
        super().__init__(f"learner {rank} is lost")
        self.rank = rank


@dataclass
class Accounts:
    """What this learner has sent, waited and computed so far."""

    bytes_sent: int = 0
    messages: int = 0
    wait_seconds: float = 0.0  # of the activity that computes gradients, for other learners
    compute_seconds: float = 0.0
    mixes: int = 0  # rounds of gossip
    staleness: dict[int, int] = field(default_factory=dict)  # staleness -> number of applied gradients

    def sent(self, size: float, messages: int) -> None:
        self.bytes_sent += round(size)
        self.messages += messages


@dataclass(frozen=True)
class RollCall:
    """The result of a roll call, equal on all living learners."""

    unanimous: bool  # all said yes
    smallest: tuple[float, ...]  # the minimum over learners, for each value
    members: tuple[int, ...]  # ranks of the living learners, ascending
    number: int = 0  # counts the run's roll calls from 0
    incarnations: tuple[int, ...] = ()  # which process of its rank each member is; empty: the first


class Event(Protocol):
    """A flag between the activities of one learner. On a GPU, work after wait() runs after what the other
    activity had begun at set(); is_set() only tells, it orders nothing."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...
    def wait(self) -> Awaitable[None]: ...


class Lock(AbstractContextManager[None], AbstractAsyncContextManager[None], Protocol):
    """Mutual exclusion of one learner's activities. On a GPU, where each has a stream of its own, the work of
    a holder runs after that of the holder before it.

    `with lock:` where the body awaits nothing; `async with lock:` where it does."""


ApplyPart = Callable[[slice, Sequence[Tensor]], Tensor]
"""`apply_part(part, gradients)`: update that part with everyone's gradients of it, in the order of the group.
Gives the updated part."""


class ShardedUpdate(Protocol):
    """One update of the whole vector that a group of learners makes together: each updates one shard of every
    part, and all get all shards (ZeRO stage 1, arXiv 1910.02054)."""

    def send(self, part: slice) -> None:
        """Start sending the others their shards of that part of the gradient. All learners send the same
        parts in the same order. The part must not change until the update ends."""
        ...

    def update(self, applying: AbstractContextManager[ApplyPart]) -> list[tuple[slice, Awaitable[None]]]:
        """Update this learner's shards of all parts that were sent. Gives slices of the target, each with an
        awaitable that ends when all learners have updated it: there the target is then equal on all."""
        ...


class World(Protocol):
    """One learner's view of its world. Every learner of a run has its own."""

    rank: int  # of this learner
    size: int  # learners of the run
    nodes: Sequence[int]  # the node of each rank
    accounts: Accounts
    concurrent: bool  # activities run at the same time, each in a thread; otherwise one at a time

    def now(self) -> float:
        """Seconds on this world's clock (virtual in SimulatedWorld)."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...

    def device_synchronize(self) -> Awaitable[None]:
        """Wait until this activity's work on its device is complete: a GPU may be some steps behind."""
        ...

    def compute(self, work: Callable[[Ready], None], ready: Ready | None = None) -> Awaitable[None]:
        """Compute one gradient: `work(ready)`. `ready` is called with each slice of the gradient as soon as
        it is final. This takes real time in a ProcessWorld and virtual time in a SimulatedWorld."""
        ...

    def send(self, payload: Payload, to: int, tag: int = 0) -> Awaitable[None]:
        """Send to learner `to`. Messages of one tag arrive in the order in which they were sent. Raises
        PeerLost."""
        ...

    def receive(self, source: int, tag: int = 0) -> Awaitable[Payload]:
        """The next payload that `source` sent with this tag. Raises PeerLost."""
        ...

    def receive_any(self, tag: int = 0) -> Awaitable[tuple[int, Payload]]:
        """The next message with this tag: (its source, its payload). Raises PeerLost, once for each learner
        that died, and when all others have finished."""
        ...

    def exchange(self, payload: Payload, peer: int, tag: int = 0) -> Awaitable[Payload]:
        """Send `payload` to `peer` and receive its payload, which must have the same dtypes and shapes.
        Raises PeerLost."""
        ...

    def all_reduce(
        self,
        buffer: Tensor,
        group: Sequence[int] | None = None,
        op: str = "mean",
        out: Tensor | None = None,
    ) -> Awaitable[Tensor]:
        """Reduce over the ranks of `group` (None: all), in place or into `out`; `op` is "mean" or "sum".
        Returns the buffer that holds the result. Raises PeerLost."""
        ...

    def symmetric_like(self, like: Tensor) -> Tensor:
        """A vector of zeros like it in symmetric memory, where the GPUs of a host write into each other's
        memory: all-reduces of it, or into it, are faster. Every learner calls this, in the same order."""
        ...

    def sharded_update(
        self, vector: Tensor, target: Tensor, group: Sequence[int] | None = None
    ) -> ShardedUpdate | None:
        """Begin an update of `target`, which is equal on all of the group, with their gradients `vector`.
        Both are vectors of symmetric_like(). None, on all learners, where reducing gradients is as fast."""
        ...

    def all_gather(self, payload: Payload, group: Sequence[int] | None = None) -> Awaitable[list[Payload]]:
        """The payloads of all learners of `group` (None: all), in its order. Raises PeerLost."""
        ...

    def spawn(self, activity: Coroutine[Any, Any, None], name: str) -> Awaitable[None]:
        """Start an activity of this learner beside the gradient loop; await the result to join it. Raises
        ValueError for the name GRADIENT_LOOP."""
        ...

    def event(self) -> Event:
        """A flag between activities of this learner, at first not set."""
        ...

    def lock(self) -> Lock:
        """Mutual exclusion of activities of this learner."""
        ...

    def count(self, name: str, amount: int) -> Awaitable[int]:
        """Add to a counter that all learners share; returns its value *before* the addition."""
        ...

    def roll_call(self, yes: bool, *values: float) -> Awaitable[RollCall]:
        """Synchronise with all living learners: one activity of each calls it, with equally many values.

        A learner whose activities have all ended has left, and is not waited for. One that replaces another
        and comes after all have said yes gets PeerLost with its own rank: they have gone on without it."""
        ...
