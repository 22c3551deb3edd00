"""Byte-pair encoding: deterministic, spells every word, refuses clearly."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.criteria import pieces
from dasr.errors import UserError

SENTENCES = ["LOW LOW LOW LOWER", "LOWER NEWEST NEWEST", "WIDEST LOW NEW"]
WORDS = ["LOW", "LOWER", "NEWEST", "WIDEST", "ÄX"]


def test_pieces_spell_every_word_of_the_lexicon_also_with_characters_that_train_lacks() -> None:
    spelled = pieces.spell(pieces.learn(SENTENCES, WORDS, 18), WORDS)
    assert list(spelled) == WORDS
    assert all("".join(said) == f"▁{word}" for word, said in spelled.items())
    assert len(spelled["LOW"]) < len(spelled["ÄX"])  # what is frequent is merged


def test_the_first_merges_are_those_of_the_most_frequent_pairs() -> None:
    """By hand: five LOW and two NEW have five letters, a bar and <unk>; three merges make LOW one piece."""
    spelled = pieces.spell(pieces.learn(["LOW"] * 5 + ["NEW"] * 2, ["LOW", "NEW"], 10), ["LOW", "NEW"])
    assert spelled == {"LOW": ("▁LOW",), "NEW": ("▁", "N", "E", "W")}


def test_the_same_transcripts_give_the_same_model_to_the_byte() -> None:
    assert pieces.learn(SENTENCES, WORDS, 18) == pieces.learn(SENTENCES, WORDS, 18)


@pytest.mark.parametrize(("count", "message"), [(500, r"give no 500 pieces: at most \d+"), (5, "too few")])
def test_a_count_that_the_transcripts_cannot_give_is_refused(count: int, message: str) -> None:
    with pytest.raises(UserError, match=f"training.pieces: .*{message}"):
        pieces.learn(SENTENCES, WORDS, count)


def test_pieces_that_nobody_has_learned_name_the_stage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dasr units` first"):
        pieces.read(tmp_path)
