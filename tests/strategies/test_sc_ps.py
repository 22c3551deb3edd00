"""`sc-ps` against its recursion, written out in NumPy."""

from __future__ import annotations

import pytest

from tests.support import oracles, recursion_trial


@pytest.mark.parametrize("servers", [1, 3])
def test_it_is_sgd_with_the_mean_gradient_for_any_number_of_servers(servers: int) -> None:
    recursion_trial.follows("sc-ps", {"servers": servers}, oracles.synchronous)
