"""Kaldi's tables: blanks of ASCII separate, everything else belongs to a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dasr.corpora import tables
from dasr.corpora.rejects import Rejects
from dasr.errors import UserError

WORD = st.text(st.characters(exclude_characters=tables.BLANKS, exclude_categories=["Cs"]), min_size=1)


@given(st.lists(WORD), st.text(tables.BLANKS, min_size=1))
def test_words_survive_any_blanks_between_them(words: list[str], blanks: str) -> None:
    assert tables.fields(blanks.join(["", *words, ""])) == words


@pytest.mark.parametrize("odd", ["\u00a0", "\u3000", "\u2028", "\x85", "\x1c", "\u200b"])
def test_a_blank_that_is_not_of_ascii_is_part_of_the_word(odd: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(f"a ONE{odd}TWO THREE\n", encoding="utf-8")
    table = tables.read_table(tmp_path / "text", Rejects("corpus"))
    assert tables.fields(table["a"]) == [f"ONE{odd}TWO", "THREE"]
    assert f"U+{ord(odd):04X}" in tables.describe(f"ONE{odd}TWO")


def test_the_rest_of_a_line_is_kept_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "wav.scp").write_bytes(b"a\t/data/my  folder/x y.wav \r\nb /data/\xe3\x80\x80z.wav")
    table = tables.read_table(tmp_path / "wav.scp", Rejects("corpus"))
    assert table == {"a": "/data/my  folder/x y.wav", "b": "/data/\u3000z.wav"}


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("a ONE\n", encoding="utf-8-sig")
    assert tables.read_table(tmp_path / "text", Rejects("corpus")) == {"a": "ONE"}
    assert list(tables.text_lines(tmp_path / "text")) == [(1, "a ONE")]


def test_bad_lines_are_named_with_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"a ONE\n\nb TWO\na THREE\nc \xff\n")
    rejects = Rejects("corpus")
    tables.read_table(tmp_path / "text", rejects)
    assert "text:4: duplicate id (the first is in line 1)" in rejects.reasons["a"]
    assert "text:5 is not UTF-8" in rejects.reasons["c"]
    with pytest.raises(UserError, match="text:5 is not UTF-8"):
        list(tables.text_lines(tmp_path / "text"))
