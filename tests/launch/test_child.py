"""Learner processes: their exit statuses, their logs, and that none outlives its supervisor."""

from dasr.launch.child import describe_exit


def test_exits_are_told_in_words() -> None:
    assert describe_exit(-9) == "was killed by SIGKILL"
