"""Random numbers of learners that share a process."""

from __future__ import annotations

import torch

from dasr.tasks.own_randomness import OwnRandomness

CPU = torch.device("cpu")


def draws(randomness: OwnRandomness, count: int) -> list[float]:
    found = []
    for _ in range(count):
        with randomness:
            found.append(float(torch.rand(())))
    return found


def test_a_learner_draws_the_same_numbers_whoever_draws_between() -> None:
    alone = draws(OwnRandomness(CPU, 3), 6)
    mine, theirs = OwnRandomness(CPU, 3), OwnRandomness(CPU, 4)
    together = []
    for _ in range(6):
        together += draws(mine, 1)
        draws(theirs, 2)
        torch.rand(3)
    assert together == alone and len(set(alone)) == 6


def test_others_numbers_are_as_if_it_had_not_drawn() -> None:
    torch.manual_seed(1)
    expected = torch.rand(4)
    torch.manual_seed(1)
    first = torch.rand(2)
    draws(OwnRandomness(CPU, 0), 5)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)


def test_a_state_that_is_put_back_gives_the_next_numbers_again() -> None:
    one = OwnRandomness(CPU, 0)
    draws(one, 3)
    state = one.state.clone()
    expected = draws(one, 3)
    other = OwnRandomness(CPU, 9)
    other.state = state
    assert draws(other, 3) == expected
