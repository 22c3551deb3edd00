"""A small part of AN4 as a results folder, copied for each test that wants to damage it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dasr.config import Config, complete
from dasr.corpora.command import make as make_corpus

AN4 = Path(__file__).parents[2] / "corpora" / "an4"


def small_config(results: Path, **corpus: Any) -> Config:
    """12 utterances of AN4 a split, one shard each."""
    settings = {"path": str(AN4), "limit": 12, "max_bad_fraction": 0.1, **corpus}
    shards = {"train": 1, "dev": 1, "test": 1}
    return complete({"results": str(results), "corpus": settings, "features": {"shards": shards}})


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("small") / "results"
    make_corpus(small_config(results))
    return results


@pytest.fixture
def small(_made: Path, tmp_path: Path) -> Config:
    shutil.copytree(_made, tmp_path / "results")
    return small_config(tmp_path / "results")
