"""Sums of vectors that are written as mathematics and evaluated in one pass."""

from __future__ import annotations

import pytest
import torch

from dasr.strategies.linear_combination import v

X, Y, Z = torch.randn(3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_an_expression_is_the_list_of_its_terms_in_the_order_of_their_first_appearance() -> None:
    terms = list(0.5 * v(X) + (v(Y) - 2.0 * v(X)) - v(Z))
    assert [factor for factor, _ in terms] == [-1.5, 1.0, -1.0]
    assert all(vector is expected for (_, vector), expected in zip(terms, (X, Y, Z), strict=True))


def test_equal_vectors_are_one_term_only_if_they_are_the_same_object() -> None:
    assert len(v(X) + v(X)) == 1
    assert len(v(X) + v(X.clone())) == 2


@pytest.mark.parametrize("where", [slice(None), slice(2, 5), slice(0, 0)])
def test_a_part_is_evaluated_into_one_of_its_own_vectors(where: slice) -> None:
    out, expected = X.clone(), (3.0 * X - 0.25 * Y)[where]
    gives = (3.0 * v(out) - 0.25 * v(Y)).into(out, where)
    torch.testing.assert_close(out[where], expected)
    assert gives.data_ptr() == out[where].data_ptr()
    rest = torch.ones(9, dtype=torch.bool)
    rest[where] = False
    assert torch.equal(out[rest], X[rest])


def test_a_plain_list_of_terms_can_be_added() -> None:
    terms = [(2.0, Y)]
    torch.testing.assert_close((v(X) + terms).into(torch.empty_like(X)), X + 2 * Y)
