"""Keys of the store: each learner has its own."""

from __future__ import annotations

from dasr.worlds.process import store_keys


def test_no_two_learners_and_no_two_meanings_share_a_key() -> None:
    functions = [value for name, value in vars(store_keys).items() if name.endswith("_key")]
    keys = [key(rank) for key in functions for rank in range(20)]
    assert len(functions) >= 3 and len(set(keys)) == len(keys)
