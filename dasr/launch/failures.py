"""Learners as the coordinator knows them, how one is lost, and what a job's policy is then."""

from __future__ import annotations

from dataclasses import dataclass

from dasr.launch.child import describe_exit
from dasr.launch.membership import EXIT_MISTAKE
from dasr.launch.rendezvous import JsonConnection, Message


@dataclass(frozen=True)
class FaultPolicy:
    """How a job treats trouble. Times in seconds."""

    asynchronous: bool  # a lost learner does not end the run
    restarts: int = 3  # of all learners of a synchronous run, in one job
    replacements: int = 3  # of lost learners of an asynchronous run, in one job
    startup_s: float = 300.0  # until all supervisors have reported
    hang_s: float = 600.0  # a learner at one place for so long hangs
    stop_s: float = 60.0  # for saving a checkpoint when asked to stop
    silence_s: float = 30.0  # a supervisor that says nothing for so long is lost


@dataclass
class RemoteSupervisor:
    """A supervisor that has reported, and its learner."""

    rank: int
    node: int
    host: str
    connection: JsonConnection
    incarnation: int = 0  # of its learner; messages about earlier ones are stale
    kill_reason: str = ""  # why its learner is being killed

    def name(self) -> str:
        return f"learner {self.rank} (on {self.host})"


@dataclass
class LearnerFailure:
    """A learner that ended otherwise than well."""

    member: RemoteSupervisor
    code: int | None  # None: its supervisor went with it
    tail: str
    reason: str

    @classmethod
    def of(cls, member: RemoteSupervisor, event: str, message: Message) -> LearnerFailure:
        """From what its supervisor reported (`exited`), or from the supervisor's own end (`gone`)."""
        if event == "gone":
            return cls(member, None, "", f"{member.name()} is lost with its supervisor")
        code = int(message["code"])
        reason = f"{member.name()} {member.kill_reason or describe_exit(code)}"
        return cls(member, code, str(message["tail"]), reason)

    @property
    def report(self) -> str:
        return self.reason + (f"; its last lines:\n{_indented(self.tail)}" if self.tail else "")


def cause_order(failure: LearnerFailure) -> tuple[bool, bool, bool]:
    """Smallest for the first cause: a mistake that it names, a lost supervisor, a signal; not a lost peer."""
    return failure.code != EXIT_MISTAKE, failure.code is not None, (failure.code or 0) >= 0


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
