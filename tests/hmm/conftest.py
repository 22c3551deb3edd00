"""The small corpus, aligned."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.hmm.command import align
from tests.support.small_corpus import call


@pytest.fixture(scope="module")
def aligned(small: Path) -> Path:
    call(align, small, "--split", "train", "--shard", "0", "--jobs", "1")
    return small
