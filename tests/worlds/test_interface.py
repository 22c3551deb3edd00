"""The interface of worlds: what both offer, and what its small parts count."""

from __future__ import annotations

import inspect

import pytest
import torch

from dasr.worlds.interface import Accounts, PeerLost, World, bytes_of
from dasr.worlds.process.world import ProcessWorld
from dasr.worlds.simulated.world import SimulatedWorld

METHODS = [name for name, member in vars(World).items() if name[0] != "_" and inspect.isfunction(member)]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("world", [ProcessWorld, SimulatedWorld])
def test_both_worlds_take_the_arguments_that_the_interface_says(world: type, name: str) -> None:
    wanted, given = (inspect.signature(getattr(one, name)).parameters for one in (World, world))
    assert [(p.name, p.kind, p.default) for p in wanted.values()] == [
        (p.name, p.kind, p.default) for p in given.values()
    ]


def test_bytes_are_those_of_the_tensors_and_a_bare_tensor_is_refused() -> None:
    assert bytes_of((torch.zeros(3, dtype=torch.float16), torch.zeros(2, 2))) == 6 + 16
    assert bytes_of(()) == 0
    with pytest.raises(TypeError, match=r"send \(tensor,\)"):
        bytes_of(torch.zeros(3))  # type: ignore[arg-type]


def test_accounts_add_up_and_a_lost_peer_has_a_name() -> None:
    accounts = Accounts()
    accounts.sent(10.4, 1)
    accounts.sent(3, 2)
    assert (accounts.bytes_sent, accounts.messages) == (13, 3)
    assert str(PeerLost(4)) == "learner 4 is lost" and PeerLost(4).rank == 4
