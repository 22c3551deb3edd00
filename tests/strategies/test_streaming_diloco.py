"""`streaming-diloco` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import oracles, recursion_trial


def test_fragments_arrive_late_each_at_its_own_step_and_are_blended() -> None:
    options = {"period": 5, "fragments": 3, "overlap": 2, "blend": 0.3}
    recursion_trial.follows(
        "streaming-diloco", options, lambda size, steps: oracles.diloco(size, steps, 5, 3, 2, 0.3)
    )
