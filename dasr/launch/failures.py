"""Learners as the coordinator knows them, how one is lost, and what a job's policy is then."""

from __future__ import annotations

from dataclasses import dataclass

from dasr.launch.child import describe_exit
from dasr.launch.membership import EXIT_MISTAKE, EXIT_PEER_LOST
from dasr.launch.raised import Raised
from dasr.launch.rendezvous import JsonConnection, Message


@dataclass(frozen=True)
class FaultPolicy:
    """How a job treats trouble. Times in seconds."""

    asynchronous: bool  # a lost learner does not end the run
    restarts: int = 3  # of all learners of a synchronous run, in one job
    replacements: int = 3  # of lost learners of an asynchronous run, in one job
    startup_s: float = 300.0  # until all supervisors have reported
    hang_s: float = 180.0  # a learner at one place for so long hangs, see HeartbeatMonitor
    first_step_s: float = 900.0  # until its first step
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
    standing: str = ""  # where all learners stood when it hung

    def name(self) -> str:
        return f"learner {self.rank} (on {self.host})"


@dataclass
class LearnerFailure:
    """A learner that ended otherwise than well."""

    member: RemoteSupervisor
    code: int | None  # None: its supervisor went with it
    tail: str
    reason: str
    raised: Raised | None = None

    @classmethod
    def of(
        cls, member: RemoteSupervisor, event: str, message: Message, raised: Raised | None = None
    ) -> LearnerFailure:
        """From what its supervisor reported (`exited`), or from the supervisor's own end (`gone`).

        `raised`: the exception that the learner itself has told."""
        if event == "gone":
            return cls(member, None, "", f"{member.name()} is lost with its supervisor")
        code = int(message["code"])
        if raised and code == EXIT_MISTAKE:
            return cls(member, code, "", f"{member.name()}: {raised.message}")
        if raised and not member.kill_reason:
            return cls(member, code, raised.in_full(), f"{member.name()} {raised.in_one_line()}", raised)
        reason = f"{member.name()} {member.kill_reason or describe_exit(code)}"
        return cls(member, code, member.standing or str(message["tail"]), reason)

    @property
    def peer_lost(self) -> bool:
        """Another learner's end is the cause of this one."""
        return self.code == EXIT_PEER_LOST

    @property
    def report(self) -> str:
        if not self.tail:
            return self.reason
        return self.reason + ("\n" if self.raised else "; its last lines:\n") + _indented(self.tail)

    @property
    def summary(self) -> str:
        """As long as the run goes on: an exception in one line, its stack is shown if it ends the run."""
        return self.reason if self.raised else self.report


def cause_order(failure: LearnerFailure) -> tuple[bool, bool, bool, bool]:
    """Smallest for the first cause: a mistake that it names, a lost supervisor, a signal; not a lost peer."""
    return (
        failure.code != EXIT_MISTAKE,
        failure.code is not None,
        failure.peer_lost,
        (failure.code or 0) >= 0,
    )


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())
