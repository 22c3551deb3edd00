"""How a learner and its launcher speak: the environment it starts in, the store's keys, the exit codes."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from dasr.errors import UserError
from dasr.launch.raised import Raised
from dasr.worlds.process.authentication import SignedStore, verified
from dasr.worlds.process.standing import standing

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
"""What a supervisor takes as the request to stop. A learner ignores them: some of Slurm's process trackers
signal all descendants of a task, and the request reaches learners through the store."""

EXIT_DONE = 0  # the budget is spent
EXIT_MISTAKE = 2  # a user's mistake: starting again would end the same way
EXIT_RAISED = 70  # an exception that is not a user's mistake; it is in the store (EX_SOFTWARE)
EXIT_SAVED = 75  # asked to stop; everything is in the checkpoint (EX_TEMPFAIL)
EXIT_PEER_LOST = 76  # another learner, without which it cannot go on, has ended

STOP = "stop"
WHERE = "where"  # all shall say where they stand


def exit_now(code: int) -> NoReturn:
    """End this learner's process with `code`, now.

    Python's own way out can abort it: threads that wait inside c10d are torn down with the interpreter
    ("terminate called without an active exception"), and a run that was finished would look like a loss."""
    with contextlib.suppress(OSError):  # the disk of the log may be full
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def heartbeat_key(rank: int) -> str:
    return f"heartbeat/{rank}"


def raised_key(rank: int) -> str:
    return f"raised/{rank}"


def standing_key(rank: int) -> str:
    return f"standing/{rank}"


def generation_prefix(generation: int) -> str:
    return f"generation/{generation}"


@dataclass(frozen=True)
class Membership:
    """What a learner knows of its job. `nodes[r]` is the node number of rank r."""

    rank: int
    size: int
    local_rank: int
    nodes: tuple[int, ...]
    address: tuple[str, int]  # of the store
    generation: int = 0  # how often all learners have been started in this job; prefix of every key
    replacement: bool = False  # takes a lost learner's place in a running run
    device: str = "cpu"  # or cuda:K
    secret: bytes = b""  # of this generation, never in the store
    startup_s: float = 300.0  # in which the store answers, and all learners have come

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Membership:
        """Read what the supervisor set. Raises UserError when `dasr train` did not start this process."""
        try:
            return cls(
                rank=int(environment["RANK"]),
                size=int(environment["WORLD_SIZE"]),
                local_rank=int(environment["LOCAL_RANK"]),
                nodes=tuple(int(node) for node in environment["DASR_NODES"].split(",")),
                address=(environment["MASTER_ADDR"], int(environment["MASTER_PORT"])),
                generation=int(environment.get("DASR_GENERATION", "0")),
                replacement=environment.get("DASR_REPLACEMENT") == "1",
                device=environment.get("DASR_DEVICE", "cpu"),
                secret=bytes.fromhex(environment.get("DASR_SECRET", "")),
                startup_s=float(environment.get("DASR_STARTUP_SECONDS", "300")),
            )
        except KeyError as missing:
            raise UserError(
                f"the environment lacks {missing.args[0]}: learners are started by `dasr train RUN`, "
                "which gives them rank, size and the address of the store"
            ) from None

    def environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads."""
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.nodes.count(self.nodes[self.rank])),
            "DASR_NODES": ",".join(map(str, self.nodes)),
            "MASTER_ADDR": self.address[0],
            "MASTER_PORT": str(self.address[1]),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # torch: rank 0 must not host a store of its own
            "DASR_GENERATION": str(self.generation),
            "DASR_REPLACEMENT": "1" if self.replacement else "0",
            "DASR_DEVICE": self.device,
            "DASR_SECRET": self.secret.hex(),
            "DASR_STARTUP_SECONDS": str(self.startup_s),
        }

    def store(self) -> Store:
        """A client of the coordinator's store that sees only this generation's keys."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]
        from torch.distributed.distributed_c10d import PrefixStore

        limit = datetime.timedelta(seconds=self.startup_s)
        store = TCPStore(*self.address, is_master=False, timeout=limit)
        return PrefixStore(generation_prefix(self.generation), store)


class HeartbeatSender:
    """Publishes a learner's heartbeats to the store, and polls it for the requests to stop and to say where
    its activities stand.

    The training thread only assigns its place (`at`); a thread publishes it, over a connection of its own. A
    learner whose training stands still goes on publishing the same place, so the coordinator sees that it
    hangs, and where.
    """

    def __init__(self, membership: Membership, every_s: float = 1.0):
        self.stop_requested = False  # all shall save a checkpoint and leave
        self._place = (0, "start")
        self._first: int | None = None  # step at which it began to train
        self._every_s = every_s
        self._store = membership.store()
        self._secret = membership.secret
        self._rank = membership.rank
        self._answered = ""
        self._key = heartbeat_key(membership.rank)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._publish, name="heartbeats", daemon=True)

    def at(self, step: int, doing: str) -> None:
        """Say what this learner does now: start, compute, wait (for others), checkpoint or finish."""
        self._first = step if self._first is None else self._first
        self._place = (step, doing)

    def tell_exception(self, error: BaseException) -> None:
        """Leave with the coordinator what ended this learner."""
        raised = Raised.of(error, self._place[0])
        with contextlib.suppress(RuntimeError):  # the store is gone: the log has it
            SignedStore(self._store, self._secret).set(raised_key(self._rank), raised.to_json())

    def __enter__(self) -> HeartbeatSender:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self._thread.join(timeout=5)

    def _publish(self) -> None:
        beat = 0
        while True:
            step, doing = self._place
            try:
                stepped = self._first is not None and step > self._first
                said = {"step": step, "doing": doing, "beat": beat, "stepped": stepped}
                self._store.set(self._key, json.dumps(said))
                self.stop_requested = self.stop_requested or self._asked(STOP) is not None
                self._say_where()
            except Exception:  # the store is gone, so is the coordinator: the supervisor ends this process
                return
            beat += 1
            if self._closing.wait(self._every_s):
                return

    def _say_where(self) -> None:
        question = self._asked(WHERE)
        if question is not None and question != self._answered:
            self._answered = question
            SignedStore(self._store, self._secret).set(
                standing_key(self._rank), json.dumps([question, standing()])
            )

    def _asked(self, key: str) -> str | None:
        """What the coordinator has written there; what a stranger has written asks for nothing."""
        return verified(self._secret, key, self._store.get(key)) if self._store.check([key]) else None
