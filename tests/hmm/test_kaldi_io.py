"""Kaldi's binary format: kaldiio reads what is written here, and this reads what kaldiio writes."""

from __future__ import annotations

import io
from pathlib import Path

import kaldiio.matio
import numpy as np
import pytest

from dasr.errors import UserError
from dasr.hmm.kaldi_io import HEADER, Reader, Writer, read_vector_text, vector_text

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3) / 7


def written(path: Path, writer: Writer) -> Reader:
    path.write_bytes(HEADER + bytes(writer.data))
    return Reader(path)


@pytest.mark.parametrize("array", [MATRIX, MATRIX[0]])
def test_kaldiio_reads_vectors_and_matrices_as_they_were(array: np.ndarray) -> None:
    writer = Writer()
    (writer.matrix if array.ndim == 2 else writer.vector)(array)
    np.testing.assert_array_equal(kaldiio.matio.read_kaldi(io.BytesIO(HEADER + bytes(writer.data))), array)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices_of_kaldiio_are_read_in_both_widths(tmp_path: Path, dtype: type) -> None:
    kaldiio.save_mat(str(tmp_path / "m"), MATRIX.astype(dtype))
    np.testing.assert_array_equal(Reader(tmp_path / "m").matrix(), MATRIX)


def test_numbers_and_tokens_come_back_in_their_order(tmp_path: Path) -> None:
    writer = Writer()
    writer.token("<A>", "<B>")
    writer.int32(-5)
    writer.integers([3, 1])
    writer.float32(0.5)
    reader = written(tmp_path / "f", writer)
    assert [reader.token("<A>"), reader.token(), reader.int32()] == ["<A>", "<B>", -5]
    assert reader.integers().tolist() == [3, 1] and reader.float() == 0.5


def test_a_wrong_token_a_cut_file_and_a_text_file_are_one_clear_line(tmp_path: Path) -> None:
    writer = Writer()
    writer.token("<A>")
    with pytest.raises(UserError, match=r"expected <B> at byte 2"):
        written(tmp_path / "f", writer).token("<B>")
    writer = Writer()
    writer.matrix(MATRIX)
    (tmp_path / "cut").write_bytes((HEADER + bytes(writer.data))[:-1])
    with pytest.raises(UserError, match=r"6 numbers .* truncated"):
        Reader(tmp_path / "cut").matrix()
    (tmp_path / "text").write_text(" [ 1 2 ]\n")
    with pytest.raises(UserError, match="copy it with --binary=true"):
        Reader(tmp_path / "text")


def test_a_vector_in_text_comes_back_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_text(vector_text([3, 0, 12]))
    assert read_vector_text(path).tolist() == [3, 0, 12]
    path.write_text(" [ 1 nan ]")
    with pytest.raises(UserError, match="v"):
        read_vector_text(path)
