"""Units of CTC from a lexicon: what words are spelled with."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dasr.criteria.units import BLANK, SPACE, Kind, Units
from dasr.results.layout import Layout

LEXICON = "A AH\nA EY\nAB AH B\nBA B AH\n<sil> SIL\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.lang.mkdir(parents=True)
    layout.lexicon.write_text(LEXICON)
    return layout


@pytest.mark.parametrize(
    ("kind", "symbols", "said"),
    [
        ("characters", (BLANK, SPACE, "A", "B"), [2, 3, 1, 2, 1]),
        ("phones", (BLANK, "AH", "B", "EY"), [1, 2, 1]),
    ],
)
def test_a_transcript_is_spelled_word_by_word(
    kind: Kind, symbols: tuple[str, ...], said: list[int], layout: Layout
) -> None:
    units = Units.read(kind, layout)
    assert units.symbols == symbols
    assert units.encode(["AB", "A"]) == said


def test_a_word_that_is_not_in_the_lexicon_is_named(layout: Layout) -> None:
    assert Units.read("characters", layout).encode(["A", "ABBA"]) == "ABBA"


def test_every_pronunciation_is_a_spelling_and_silence_is_none(layout: Layout) -> None:
    spellings = Units.read("phones", layout).spellings
    assert spellings == (("A", ("AH",)), ("A", ("EY",)), ("AB", ("AH", "B")), ("BA", ("B", "AH")))
    assert [word for word, _ in Units.read("characters", layout).spellings] == ["A", "AB", "BA"]


def test_a_pronunciation_costs_what_the_lexicon_says_of_its_probability(layout: Layout) -> None:
    assert set(Units.read("phones", layout).costs.values()) == {0.0}
    (layout.lang / "lexiconp.txt").write_text("A 0.25 AH\nA 1 EY\nA 0.5 SIL AH\n<sil> 1 SIL\n")
    costs = Units.read("phones", layout).costs
    assert costs == {("A", ("AH",)): pytest.approx(math.log(2)), ("A", ("EY",)): 0.0}
