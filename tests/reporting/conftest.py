import pytest

from tests.support import synthetic


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    """Config of a comparison that is complete (three strategies, two seeds); not to be changed."""
    strategies = ["single", "sc-allreduce", "ad"]
    return synthetic.make(tmp_path_factory.mktemp("made"), strategies=strategies)
