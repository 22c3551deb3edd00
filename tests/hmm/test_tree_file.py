"""Kaldi's trees are read through before C++ gets them."""

from pathlib import Path

import numpy as np
import pytest

from dasr.errors import UserError
from dasr.hmm.kaldi_io import HEADER, Writer
from dasr.hmm.topology import make_tree
from dasr.hmm.tree_file import read_tree


def tree_bytes() -> bytes:
    """A triphone tree of one phone with a question, one without, and no phone 0."""
    writer = Writer()
    writer.token("ContextDependency")
    writer.int32(3)
    writer.int32(1)
    writer.token("ToPdf", "TE")
    writer.int32(1)
    writer.uint32(3)
    writer.token("(", "NULL", "SE")
    writer.int32(0)
    writer.integers([1, 2])
    writer.token("{")
    for pdf in (0, 1):
        writer.token("CE")
        writer.int32(pdf)
    writer.token("}", "CE")
    writer.int32(2)
    writer.token(")", "EndContextDependency")
    return bytes(writer.data)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tree").write_bytes(HEADER + tree_bytes())
    return tmp_path / "tree"


def test_a_whole_tree_is_read_as_it_stands(file: Path) -> None:
    assert read_tree(file) == tree_bytes()


def test_a_changed_bit_is_refused_or_leaves_a_tree_that_answers(file: Path) -> None:
    whole, draw, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[draw.integers(len(whole))] ^= 1 << int(draw.integers(8))
        file.write_bytes(changed)
        try:
            data = read_tree(file)
        except UserError as error:
            assert str(file) in str(error)
            refused += 1
        else:
            make_tree(data).compute([1, 1, 1], 0)
    assert refused > 200


def test_a_tree_that_is_cut_off_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for length in range(len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match="tree"):
            read_tree(file)
