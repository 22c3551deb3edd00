"""How a lost learner is named, and which of several failures is the cause."""

from __future__ import annotations

from typing import Any

from dasr.launch.failures import LearnerFailure, RemoteSupervisor, cause_order
from dasr.launch.membership import EXIT_MISTAKE, EXIT_PEER_LOST, EXIT_RAISED

CONNECTION: Any = None  # nothing is said to anybody here


def member(rank: int = 1, **more: Any) -> RemoteSupervisor:
    return RemoteSupervisor(rank, 0, "node7", CONNECTION, **more)


def exited(code: int, tail: str = "", **more: Any) -> LearnerFailure:
    return LearnerFailure.of(member(**more), "exited", {"code": code, "tail": tail})


def test_a_killed_learner_is_named_with_its_host_its_signal_and_its_last_lines() -> None:
    failure = exited(-9, "line 1\nline 2")
    assert failure.reason.startswith("learner 1 (on node7)") and "SIGKILL" in failure.reason
    assert failure.report == f"{failure.reason}; its last lines:\n    line 1\n    line 2"


def test_one_that_was_killed_for_a_reason_tells_the_reason_and_where_all_stood() -> None:
    failure = exited(-9, "line", kill_reason="hangs at step 3", standing="learner 0 waits")
    assert failure.reason == "learner 1 (on node7) hangs at step 3"
    assert failure.tail == "learner 0 waits"


def test_a_lost_supervisor_takes_its_learner_with_it() -> None:
    failure = LearnerFailure.of(member(), "gone", {})
    assert failure.code is None and failure.report == "learner 1 (on node7) is lost with its supervisor"


def test_the_cause_is_a_mistake_then_a_lost_supervisor_then_a_signal_and_never_a_lost_peer_before_them() -> (
    None
):
    peer, raised, signal = exited(EXIT_PEER_LOST), exited(EXIT_RAISED), exited(-11)
    gone, mistake = LearnerFailure.of(member(), "gone", {}), exited(EXIT_MISTAKE)
    assert peer.peer_lost and not raised.peer_lost
    found = sorted([peer, raised, signal, gone, mistake], key=cause_order)
    assert found == [mistake, gone, signal, raised, peer]
