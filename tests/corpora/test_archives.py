"""Archives of Kaldi's types are read as kaldiio reads them; what would run code, or is a bomb, is refused."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import kaldiio
import numpy as np
import pytest

from dasr.corpora import archives
from dasr.corpora.archives import BadArchive
from dasr.corpora.rxfilename import parse
from dasr.errors import UserError

MATRIX = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


class Attack:
    """Unpickling it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("method", [None, 1, 2, 3, 5])
def test_matrices_are_those_that_kaldiio_reads(tmp_path: Path, method: int | None) -> None:
    options = {} if method is None else {"compression_method": method}
    kaldiio.save_ark(
        str(tmp_path / "x.ark"), {"a": MATRIX, "b": 2 * MATRIX}, scp=str(tmp_path / "x.scp"), **options
    )
    for line in (tmp_path / "x.scp").read_text().splitlines():
        place = line.split()[1]
        np.testing.assert_array_equal(archives.read_matrix(parse(place)), kaldiio.load_mat(place))


def test_text_matrices_and_parts_are_read(tmp_path: Path) -> None:
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"a": MATRIX}, text=True)
    place = f"{tmp_path / 'x.ark'}:2"
    np.testing.assert_allclose(archives.read_matrix(parse(place)), MATRIX, rtol=1e-5)
    part = archives.read_matrix(parse(f"{place}[1:3,0:1]"))
    np.testing.assert_allclose(part, MATRIX[1:4, 0:2], rtol=1e-5)
    with pytest.raises(BadArchive, match="has 7 rows"):
        archives.read_matrix(parse(f"{place}[1:30]"))


@pytest.mark.parametrize("magic", [b"PKL", b"NPY"])
def test_python_objects_are_not_unpacked(tmp_path: Path, magic: bytes) -> None:
    target = tmp_path / "made"
    payload = pickle.dumps(Attack(target))
    (tmp_path / "x.ark").write_bytes(b"utt " + magic + payload)
    for read in (archives.read_matrix, archives.audio_bytes):
        with pytest.raises(BadArchive):
            read(parse(f"{tmp_path / 'x.ark'}:4"))
    with gzip.open(tmp_path / "ali.1.gz", "wb") as file:
        file.write(b"utt " + magic + payload)
    with pytest.raises(UserError, match="not a Kaldi alignment archive"):
        list(archives.read_alignments(tmp_path / "ali.1.gz"))
    assert not target.exists()


@pytest.mark.parametrize("suffix", [":0", "[0:1]"])
def test_a_file_whose_name_is_a_command_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x;touch y;|").write_bytes(b"nothing")
    with pytest.raises(BadArchive):
        archives.read_matrix(parse(f"x;touch y;|{suffix}"))
    assert not Path("y").exists()


@pytest.mark.parametrize("kind", [b"FM", b"DM", b"CM", b"CM2", b"CM3"])
def test_a_header_that_announces_more_than_the_file_holds_is_refused(tmp_path: Path, kind: bytes) -> None:
    most = 2**31 - 1
    plain = struct.pack("<bibi", 4, most, 4, most)
    size = struct.pack("<ffii", 0, 1, most, most) if kind.startswith(b"C") else plain
    (tmp_path / "x.ark").write_bytes(b"\0B" + kind + b" " + size + b"\0" * 64)
    with pytest.raises(BadArchive, match="more than its file holds"):
        archives.read_matrix(parse(str(tmp_path / "x.ark")))


def test_alignments_are_those_that_kaldiio_reads(tmp_path: Path) -> None:
    given = {"a": np.arange(1, 200, dtype=np.int32), "b": np.zeros(0, np.int32), "c": np.array([7], np.int32)}
    with gzip.open(tmp_path / "ali.1.gz", "wb") as file:
        buffer = io.BytesIO()
        kaldiio.save_ark(buffer, given)
        file.write(buffer.getvalue())
    (tmp_path / "ali.2.ark").write_text("d 1 2 3\ne 4\n")
    found = dict(archives.read_alignments(tmp_path / "ali.1.gz"))
    assert list(found) == ["a", "b", "c"]
    for name, ids in given.items():
        np.testing.assert_array_equal(found[name], ids)
    text = {name: ids.tolist() for name, ids in archives.read_alignments(tmp_path / "ali.2.ark")}
    assert text == {"d": [1, 2, 3], "e": [4]}


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * (64 << 20),
        b"utt \0B\x04" + struct.pack("<i", 2**31 - 1) + b"\0" * 1000,
        b"utt \0B\x04" + struct.pack("<i", -1),
        b"utt \0B\x04" + struct.pack("<i", 5) + b"\x04\1\0\0\0",
        b"a" * (1 << 20),
        b"utt 1 2 99999999999\n",
    ],
    ids=["zeros", "huge count", "negative count", "cut off", "endless id", "not int32"],
)
def test_what_is_no_alignment_is_one_line(tmp_path: Path, content: bytes) -> None:
    with gzip.open(tmp_path / "ali.1.gz", "wb", compresslevel=1) as file:
        file.write(content)
    with pytest.raises(UserError, match=r"ali\.1\.gz is not a Kaldi alignment archive"):
        list(archives.read_alignments(tmp_path / "ali.1.gz"))
