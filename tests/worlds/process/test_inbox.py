"""What has arrived is taken in order, and a loss is told after what the lost learner had sent."""

from __future__ import annotations

from typing import Any

import pytest

from dasr.worlds.interface import PeerLost
from dasr.worlds.process.inbox import Inbox


def message(text: str) -> Any:
    return text  # what is in it does not matter here


def taken(inbox: Inbox, source: int, tag: int) -> Any:
    return inbox.take(source, tag)


def taken_of_any(inbox: Inbox, tag: int) -> Any:
    return inbox.take_any(tag)


def test_messages_of_one_sender_and_tag_come_in_their_order_and_others_stay() -> None:
    inbox = Inbox()
    for source, tag, text in ((1, 0, "a"), (2, 0, "b"), (1, 5, "c"), (1, 0, "d")):
        inbox.put(source, tag, message(text))
    assert [taken(inbox, 1, 0), taken(inbox, 1, 0), taken(inbox, 1, 0)] == ["a", "d", None]
    assert taken(inbox, 1, 5) == "c" and taken(inbox, 2, 0) == "b"


def test_take_any_gives_what_arrived_first_of_its_tag() -> None:
    inbox = Inbox()
    inbox.others = 2
    for source, tag, text in ((2, 7, "other tag"), (2, 0, "first"), (1, 0, "second")):
        inbox.put(source, tag, message(text))
    assert [taken_of_any(inbox, 0), taken_of_any(inbox, 0), taken_of_any(inbox, 0)] == [
        (2, "first"),
        (1, "second"),
        None,
    ]


def test_a_lost_learners_messages_come_before_its_loss() -> None:
    inbox = Inbox()
    inbox.put(1, 0, message("last words"))
    inbox.lost[1] = 1
    assert taken(inbox, 1, 0) == "last words"
    with pytest.raises(PeerLost):
        taken(inbox, 1, 0)


def test_take_any_tells_a_death_once_a_tag_and_a_goodbye_only_when_nobody_is_left() -> None:
    inbox = Inbox()
    inbox.others = 2
    inbox.lost[1] = 1  # it said goodbye
    assert taken_of_any(inbox, 0) is None
    inbox.lost[2], inbox.died = 1, {2}
    lost = set()
    for _ in range(2):
        with pytest.raises(PeerLost) as error:
            taken_of_any(inbox, 0)
        lost.add(error.value.rank)
    assert lost == {1, 2} and taken_of_any(inbox, 0) is None
