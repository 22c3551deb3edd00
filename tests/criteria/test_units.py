"""Units of CTC from a lexicon: what words are spelled with."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.criteria.units import BLANK, SPACE, Kind, Units

LEXICON = "A AH\nA EY\nAB AH B\nBA B AH\n<sil> SIL\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "lexicon.txt").write_text(LEXICON)
    return tmp_path / "lexicon.txt"


@pytest.mark.parametrize(
    ("kind", "symbols", "said"),
    [
        ("characters", (BLANK, SPACE, "A", "B"), [2, 3, 1, 2, 1]),
        ("phones", (BLANK, "AH", "B", "EY"), [1, 2, 1]),
    ],
)
def test_a_transcript_is_spelled_word_by_word(
    kind: Kind, symbols: tuple[str, ...], said: list[int], path: Path
) -> None:
    units = Units.read(kind, path)
    assert units.symbols == symbols
    assert units.encode(["AB", "A"]) == said


def test_a_word_that_is_not_in_the_lexicon_is_named(path: Path) -> None:
    assert Units.read("characters", path).encode(["A", "ABBA"]) == "ABBA"


def test_every_pronunciation_is_a_spelling_and_silence_is_none(path: Path) -> None:
    spellings = Units.read("phones", path).spellings
    assert spellings == (("A", ("AH",)), ("A", ("EY",)), ("AB", ("AH", "B")), ("BA", ("B", "AH")))
    assert [word for word, _ in Units.read("characters", path).spellings] == ["A", "AB", "BA"]
