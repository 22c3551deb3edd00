"""Fast tests first: unit tests, then slow ones, then those that need a Slurm. Fixtures of several folders."""

from pathlib import Path
from typing import Any

import pytest

from tests.support import aligned_corpus, synthetic, transcribed_corpus

pytest_plugins = ["tests.support.cpu_limit"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ("slurm" in item.keywords) * 2 + ("slow" in item.keywords))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Config of a comparison that is complete (three strategies, two seeds); not to be changed."""
    strategies = ["single", "sc-allreduce", "ad"]
    return synthetic.make(tmp_path_factory.mktemp("made"), strategies=strategies)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of `aligned_corpus`."""
    return aligned_corpus.make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of `small_corpus`."""
    from tests.support import small_corpus

    return small_corpus.make(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def transcribed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of `transcribed_corpus`."""
    return transcribed_corpus.make(tmp_path_factory.mktemp("transcribed"))
