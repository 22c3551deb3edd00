"""A collective that fails is put down to a learner that died, if one did."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dasr.worlds.interface import PeerLost
from dasr.worlds.process.collectives import SHOWS_S, Collectives
from tests.support.played_clock import PlayedClock


def failing(dies_at: float) -> tuple[Collectives, PlayedClock]:
    """Collectives whose group is broken; learner 1 is seen to be dead at that time."""
    played = PlayedClock()
    collectives = Collectives(
        cast(Any, SimpleNamespace(rank=0, store=None)),
        "127.0.0.1",
        60.0,
        lambda members: 1 if played.seconds >= dies_at else None,
        played.clock,
    )
    collectives._groups[(0, 1), "main", False] = None
    return collectives, played


def broken(_: Any) -> Any:
    raise RuntimeError("Connection closed by peer")


@pytest.mark.parametrize("dies_at", [0.0, 3.0])
def test_a_member_whose_death_shows_within_seconds_is_the_cause(dies_at: float) -> None:
    collectives, _ = failing(dies_at)
    with pytest.raises(PeerLost) as lost:
        collectives.start((0, 1), "main", False, broken)
    assert lost.value.rank == 1


def test_without_a_death_the_error_is_raised_unchanged() -> None:
    collectives, played = failing(float("inf"))
    with pytest.raises(RuntimeError, match="learners \\(0, 1\\) failed: Connection closed by peer"):
        collectives.start((0, 1), "main", False, broken)
    assert SHOWS_S <= played.seconds < SHOWS_S + 1
    assert not collectives._groups, "the next one makes a new group"
