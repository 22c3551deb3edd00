"""What a strategy may ask of the world its learner lives in. No torch.distributed here, and no speech.

Communication *starts when the method is called*; the awaitable it returns ends when it is complete, so a
strategy overlaps communication with computing by awaiting late. What is sent is captured at the call, and
`send` ends as soon as the world has it in hand (a few messages to each learner may be under way; the next
waits). A buffer given to `all_reduce` or `exchange` must be left alone until it ends; what an `exchange`
gives is there until the next but one with the same peer begins. Collectives of two activities with
different names never meet. A world keeps the accounts (bytes, messages, waiting).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

Payload = tuple[Tensor, ...]
"""What is sent: some tensors, whose dtypes and shapes travel with them."""


def bytes_of(payload: Payload) -> int:
    """Raises TypeError for a tensor that is not in a tuple."""
    if not isinstance(payload, tuple):
        raise TypeError(f"a payload is a tuple of tensors, not a {type(payload).__name__}: send (tensor,)")
    return sum([part.nbytes for part in payload])


ALL = slice(None)  # of a vector
GRADIENT_LOOP = "main"  # the name of the activity that a learner starts with
Ready = Callable[[Tensor], None]
"""Called by a backward pass with each slice of the flat gradient once it is final, last layers first."""


class PeerLost(Exception):
    """The other end of a message died. Asynchronous strategies go on without it; synchronous ones stop."""

    def __init__(self, rank: int):
        super().__init__(f"learner {rank} is lost")
        self.rank = rank


@dataclass
class Accounts:
    """What this learner's communication cost so far; kept by the world, read by metrics and the table."""

    bytes_sent: int = 0
    messages: int = 0
    wait_seconds: float = 0.0  # the gradient loop (the activity that computes) stood waiting for others
    compute_seconds: float = 0.0
    mixes: int = 0
    staleness: dict[int, int] = field(default_factory=dict)  # staleness -> number of applied gradients


@dataclass(frozen=True)
class RollCall:
    """What all living learners agreed on: the same on each of them."""

    unanimous: bool  # every one of them said yes
    smallest: tuple[float, ...]  # of each value: the smallest that any of them brought
    members: tuple[int, ...]  # ranks alive, ascending
    number: int = 0  # roll calls of the run before this one, those before a replacement's arrival included
    lives: tuple[int, ...] = ()  # of each member: how many processes have been it (empty: none was replaced)


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
    """One learner's view of where it lives. Every learner of a run has its own."""

    rank: int
    size: int
    nodes: Sequence[int]  # node of each rank
    accounts: Accounts

    def now(self) -> float:
        """Seconds on this world's clock (virtual in SimulatedWorld)."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...

    def device_synchronize(self) -> Awaitable[None]:
        """Ends when what this activity has begun on its device is done: a GPU is some steps behind."""
        ...

    def compute(self, work: Callable[[Ready], None], ready: Ready | None = None) -> Awaitable[None]:
        """Run one gradient computation `work(ready)`. Time passes: virtual in SimulatedWorld, real in
        ProcessWorld."""
        ...

    def send(self, payload: Payload, to: int, tag: int = 0) -> Awaitable[None]: ...

    def receive(self, source: int, tag: int = 0) -> Awaitable[Payload]:
        """The next payload that `source` sent with this tag. Raises PeerLost."""
        ...

    def receive_any(self, tag: int = 0) -> Awaitable[tuple[int, Payload]]:
        """The next message with this tag: (its source, its payload). Raises PeerLost, once for each learner
        that died, and when all others have finished."""
        ...

    def exchange(self, payload: Payload, peer: int, tag: int = 0) -> Awaitable[Payload]:
        """Send `payload` to `peer` and receive its payload, which has the same dtypes and shapes. Raises
        PeerLost."""
        ...

    def all_reduce(
        self,
        buffer: Tensor,
        group: Sequence[int] | None = None,
        op: str = "mean",
        out: Tensor | None = None,
    ) -> Awaitable[Tensor]:
        """Reduce in place, or into `out`, over the ranks of `group` (None: all); op is "mean" or "sum"."""
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
        """Everyone's payload, in the order of `group`."""
        ...

    def spawn(self, activity: Coroutine[Any, Any, None], name: str) -> Awaitable[None]:
        """Start an activity of this learner beside the gradient loop; await the result to join it. Raises
        ValueError for the name GRADIENT_LOOP."""
        ...

    def event(self) -> Event: ...

    def lock(self) -> Lock: ...

    def count(self, name: str, amount: int) -> Awaitable[int]:
        """Add to a counter shared by all learners; gives its value *before* the addition."""
        ...

    def roll_call(self, yes: bool, *values: float) -> Awaitable[RollCall]:
        """Meet all living learners (one activity of each calls it, in the same order everywhere, with as many
        values).

        A learner whose activities have all ended has left: nobody waits for it."""
        ...
