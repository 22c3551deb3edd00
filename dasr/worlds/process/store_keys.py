"""Keys of the run's store that more than one module uses. Their values are signed."""

from __future__ import annotations


def address_key(rank: int) -> str:
    """Where a learner listens: host, port, incarnation."""
    return f"address/{rank}"


def left_key(rank: int) -> str:
    """The incarnation of a learner that has finished."""
    return f"left/{rank}"


def dead_key(rank: int) -> str:
    """The incarnation of a learner that its peers have seen die."""
    return f"dead/{rank}"


def lost_key(rank: int) -> str:
    """Why the coordinator has given a learner up; absent while it runs."""
    return f"lost/{rank}"
