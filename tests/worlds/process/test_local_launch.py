"""Learners as processes of this host."""

from __future__ import annotations

import pytest

from dasr.worlds.process.local_launch import ProcessFailed, run_processes
from tests.support import activities


def test_a_failing_learner_ends_the_run_with_its_rank_and_reason() -> None:
    with pytest.raises(ProcessFailed, match=r"(?s)learner 1 failed.*no such luck"):
        run_processes(2, activities.fail_on_rank_one)
