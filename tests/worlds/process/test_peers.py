"""When the learners of a host do not meet in peer memory, and what one does who waits for another."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.distributed import HashStore  # type: ignore[attr-defined]

from dasr.worlds.interface import PeerLost
from dasr.worlds.process import peers


def transport(rank: int = 0, incarnation: int = 1) -> Any:
    return SimpleNamespace(rank=rank, store=HashStore(), incarnation=incarnation)


def meeting(nodes: list[int], **more: Any) -> Any:
    unasked: Any = None  # nobody is asked
    return peers.meet(transport(**more), unasked, nodes, torch.device("cpu"))


def test_a_learner_alone_on_its_host_meets_nobody() -> None:
    assert meeting([0, 1, 1]) is None


def test_a_replacement_and_a_user_who_switches_it_off_meet_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert meeting([0, 0], incarnation=2) is None
    monkeypatch.setenv(peers.SWITCH, "0")
    assert meeting([0, 0]) is None


def test_an_answer_is_waited_for_until_its_learner_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    given, lost = transport(), itertools.chain([None], itertools.repeat(2))
    client: Any = SimpleNamespace(find_lost=lambda ranks: next(lost))
    given.store.set("gpu/1", "uuid")
    assert peers._answer(given, client, (0, 1, 2), "gpu/1") == "uuid"
    with pytest.raises(PeerLost, match="learner 2 is lost"):
        peers._answer(given, client, (0, 1, 2), "gpu/2")


def test_two_learners_of_one_gpu_do_not_reach_each_other() -> None:
    assert not peers._reaches(torch.device("cuda", 0), ["a", "a"])
