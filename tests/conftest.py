"""Fast tests first: unit tests, then slow ones, then those that need a Slurm."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ("slurm" in item.keywords) * 2 + ("slow" in item.keywords))
