"""Mixings: doubly stochastic, the same on every learner, and contracting as theory says."""

from __future__ import annotations

import numpy as np
import pytest

from dasr.errors import UserError
from dasr.strategies.parts.topology import KINDS, Mixing
from tests.support import mixing_oracles

# L: spectral gap of T_1, contraction of the fixed ring, the random ring, random pairs
TABLE = {
    4: (0.66667, 0.11111, 0.11111, 0.33333),
    8: (0.19526, 0.64760, 0.23810, 0.42857),
    16: (0.05075, 0.90108, 0.28889, 0.46667),
    32: (0.01281, 0.97454, 0.31183, 0.48387),
    64: (0.00321, 0.99359, 0.32275, 0.49206),
    128: (0.00080, 0.99839, 0.32808, 0.49606),
}


def members(size: int) -> tuple[int, ...]:
    return tuple(range(size))


@pytest.mark.parametrize("size", TABLE)
def test_contraction_is_that_of_the_table(size: int) -> None:
    gap, ring, random_ring, random_pairs = TABLE[size]
    fixed_ring = Mixing("ring", members(size)).contraction()
    assert fixed_ring == pytest.approx(ring, abs=6e-6)
    assert 1 - fixed_ring**0.5 == pytest.approx(gap, abs=6e-6)
    assert Mixing("random-ring", members(size)).contraction() == pytest.approx(random_ring, abs=6e-6)
    assert Mixing("random-pairs", members(size)).contraction() == pytest.approx(random_pairs, abs=6e-6)
    assert Mixing("uniform", members(size)).contraction() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("kind", ["random-ring", "random-pairs"])
def test_the_draws_of_a_random_mixing_contract_as_their_expectation(kind: str) -> None:
    mixing = Mixing(kind, members(9), seed=3)
    squares = [mixing.mixing_matrix(k).T @ mixing.mixing_matrix(k) for k in range(1500)]
    second = np.sort(np.linalg.eigvalsh(np.mean(squares, axis=0)))[-2]
    assert second == pytest.approx(mixing.contraction(), rel=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_every_round_is_symmetric_doubly_stochastic_and_as_defined(kind: str) -> None:
    for size in range(1, 18):
        mixing = Mixing(kind, members(size), seed=7)
        expected = mixing_oracles.mixing(kind, size, seed=7)
        for round_ in range(9):
            t = mixing.mixing_matrix(round_)
            np.testing.assert_allclose(t, t.T)
            np.testing.assert_allclose(t.sum(axis=0), 1)
            np.testing.assert_allclose(t, expected(round_))


@pytest.mark.parametrize("kind", KINDS)
def test_everyone_knows_of_everyone_in_the_end(kind: str) -> None:
    for size in (2, 3, 5, 8, 12, 17):
        mixing = Mixing(kind, members(size))
        w = np.eye(size)
        for round_ in range(1200):
            w = mixing.mixing_matrix(round_) @ w
        np.testing.assert_allclose(w, 1 / size, atol=1e-3)
        assert 0 <= mixing.contraction() < 1


def test_a_mixing_laid_over_survivors_stays_doubly_stochastic() -> None:
    for kind in KINDS:
        left = Mixing(kind, members(6)).among((0, 2, 5))
        t = left.mixing_matrix(4)
        assert t.shape == (3, 3)
        np.testing.assert_allclose(t.sum(axis=0), 1)
        assert all(set(left.partners(4, rank)) <= {0, 2, 5} - {rank} for rank in (0, 2, 5))


def test_an_unknown_mixing_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="did you mean 'random-ring'"):
        Mixing("randomring", members(4))
