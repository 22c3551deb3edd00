"""Whatever is put into a configuration is refused in one line, or accepted and can be trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dasr.config import Config
from tests.support import odd_values


@pytest.mark.slow
def test_no_odd_value_ends_in_a_traceback_or_fails_after_it_was_accepted(tmp_path: Path) -> None:
    """A short form of `python -m tests.support.odd_values`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    trial = odd_values.Trial()
    try:
        odd_values.try_keys(trial)
        odd_values.try_options(trial)
        odd_values.try_comparisons(trial, 60, 6, seed=1, folder=tmp_path)
    finally:
        torch.set_num_threads(threads)
    assert not trial.wrong, "\n".join(trial.wrong)
    counts = {outcome: sum(row[outcome] for row in trial.rows.values()) for outcome in odd_values.RIGHT}
    assert all(counts.values()), counts  # every outcome that is right was met


def test_every_key_of_the_configuration_is_tried() -> None:
    assert {path[0] for path in list(odd_values.keys())} == set(Config.model_fields)
    assert ("features", "shards", "train") in set(odd_values.keys())
