"""ARPA files are held against their own header; bombs end early."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dasr.corpora import arpa
from dasr.errors import UserError

ONE = "\\1-grams:\n-99\t<s>\t-0.3\n-1\t</s>\n-0.5\tONE\t-0.2\n"
TWO = "\\2-grams:\n-0.2\t<s> ONE\n-0.1\tONE </s>\n"
HEAD = "\\data\\\nngram 1=3\nngram 2=2\n"
WHOLE = f"{HEAD}\n{ONE}\n{TWO}\n\\end\\\n"


def read(tmp_path: Path, text: str) -> dict[arpa.Gram, tuple[float, float]]:
    (tmp_path / "x.arpa").write_text(text, encoding="utf-8")
    return arpa.read_arpa(tmp_path / "x.arpa")


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        WHOLE.replace("\n", "\r\n"),
        "\ufeff" + WHOLE,
        "made by hand\n" + WHOLE,
        WHOLE.replace("ngram 1=3", "ngram  1=   3"),
        HEAD + ONE + TWO + "\\end\\\n",
    ],
    ids=["plain", "crlf", "bom", "text before", "blanks in counts", "no empty lines"],
)
def test_all_forms_that_kaldi_reads_are_the_same_model(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {
        ("<s>",): (-99, -0.3),
        ("</s>",): (-1, 0),
        ("ONE",): (-0.5, -0.2),
        ("<s>", "ONE"): (-0.2, 0),
        ("ONE", "</s>"): (-0.1, 0),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WHOLE.replace("ngram 1=3", "ngram 1=40"), "announces 40 1-grams, but there are 3"),
        (WHOLE.replace("ngram 1=3", "ngram 1=2"), "more 1-grams than the 2"),
        (WHOLE.replace("ngram 2=2\n", ""), "announces no 2-grams"),
        (WHOLE.replace("\\end\\\n", ""), "ends without"),
        (WHOLE.replace("-0.5\tONE", "nan\tONE"), "x.arpa:8: .*is a number"),
        (WHOLE.replace("ONE\t-0.2", "ONE\tnan"), "x.arpa:8: .*is a number"),
        (WHOLE.replace("-0.5", "-0,5"), "x.arpa:8: .*is not a 1-gram"),
        (ONE, "no line .data"),
        ("x" * (1 << 20), "more than 65536 bytes"),
    ],
)
def test_what_is_no_whole_model_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("unit", [b"\0", b"\n", b"\\data\\\n\n"])
def test_a_small_file_that_unpacks_to_a_large_one_ends_early(tmp_path: Path, unit: bytes) -> None:
    with gzip.open(tmp_path / "x.arpa.gz", "wb", compresslevel=1) as file:
        file.write(unit * (64 << 20))
    with pytest.raises(UserError, match=r"x\.arpa\.gz"):
        arpa.read_arpa(tmp_path / "x.arpa.gz")
