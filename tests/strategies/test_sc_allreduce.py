"""`sc-allreduce` against its recursion, written out in NumPy."""

from __future__ import annotations

import pytest

from tests.support import oracles, recursion_trial


@pytest.mark.parametrize("bucket_mb", [4.0, 1e-6])
def test_it_is_sgd_with_the_mean_gradient_in_one_bucket_or_in_many(bucket_mb: float) -> None:
    recursion_trial.follows("sc-allreduce", {"bucket_mb": bucket_mb}, oracles.synchronous)
