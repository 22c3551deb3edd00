"""Parts of a Conformer."""

from __future__ import annotations

import pytest
import torch

from dasr.errors import UserError
from dasr.models.conformer import Conformer, rotated


def test_rotated_products_depend_on_the_distance_only() -> None:
    q, k = (torch.randn(1, 6, dtype=torch.float64).expand(12, 6) for _ in range(2))
    products = rotated(q) @ rotated(k).t()
    torch.testing.assert_close(products.diagonal(3), products[0, 3].expand(9))


def test_position_zero_is_not_turned_and_lengths_stay() -> None:
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(rotated(x)[:, 0], x[:, 0])
    torch.testing.assert_close(rotated(x).norm(dim=-1), x.norm(dim=-1))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 9}, "multiple of 2 x heads"), ({"kernel": 4}, "odd"), ({"subsampling": 3}, "1, 2, 4 or 8")],
)
def test_widths_that_do_not_fit_are_one_clear_line(options: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Conformer(4, 3, layers=1, **{"width": 8, "heads": 2, **options})
