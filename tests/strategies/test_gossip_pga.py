"""`gossip-pga` against its recursion, written out in NumPy."""

from __future__ import annotations

from tests.support import mixing_oracles, oracles, recursion_trial


def test_it_is_gossip_with_an_exact_average_every_period() -> None:
    recursion_trial.follows(
        "gossip-pga",
        {"period": 4},
        lambda size, steps: oracles.periodic(size, steps, mixing_oracles.mixing("ring", size), 4),
    )
