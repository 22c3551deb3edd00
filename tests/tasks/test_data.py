"""The shards of a split with their alignments."""

from pathlib import Path

import pytest

from dasr.errors import UserError
from dasr.tasks.data import AlignedShards
from tests.support.aligned_corpus import small_config


def test_a_stage_that_has_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dasr adapt --split dev`"):
        AlignedShards.of(small_config(tmp_path), "dev")
