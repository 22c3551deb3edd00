"""The lexicon's symbols and transducers."""

from __future__ import annotations

import kaldifst
import pytest

from dasr.corpora.language import Lexicon
from dasr.hmm.lexicon_transducer import LexiconTransducer

PRONUNCIATIONS = (("A", ("ey",)), ("EIGHT", ("ey", "t")), ("ATE", ("ey", "t")), ("TEA", ("t", "iy")))
LEXICON = LexiconTransducer(Lexicon(PRONUNCIATIONS))


def test_silence_is_the_first_phone_and_the_rest_is_in_order() -> None:
    assert LEXICON.phones == ("SIL", "ey", "iy", "t")
    assert [LEXICON.phone_ids[phone] for phone in ("<eps>", *LEXICON.phones)] == [0, 1, 2, 3, 4]
    assert LEXICON.words == ("A", "ATE", "EIGHT", "TEA")
    assert LEXICON.transcript(["TEA", "A"]) == [4, 1]
    with pytest.raises(KeyError, match="COFFEE"):
        LEXICON.transcript(["COFFEE"])


def test_prefixes_and_homophones_are_distinguished() -> None:
    marked = dict(LEXICON.disambiguated)
    assert marked == {
        "A": ("ey", "#1"),
        "EIGHT": ("ey", "t", "#1"),
        "ATE": ("ey", "t", "#2"),
        "TEA": ("t", "iy"),
    }
    assert LEXICON.disambiguators == ("#0", "#1", "#2", "#3")
    assert len(set(marked.values())) == len(marked)


def accepted(fst: kaldifst.StdVectorFst, phones: list[str]) -> set[tuple[int, ...]]:
    """Word sequences that L gives for these phones, by walking every path."""
    found = set[tuple[int, ...]]()
    paths: list[tuple[int, int, tuple[int, ...]]] = [(fst.start, 0, ())]
    while paths:
        state, place, words = paths.pop()
        if place == len(phones) and fst.final(state).value < float("inf"):
            found.add(words)
        for arc in kaldifst.ArcIterator(fst, state):
            said = (*words, arc.olabel) if arc.olabel else words
            if arc.ilabel == 0:
                paths.append((arc.nextstate, place, said))
            elif place < len(phones) and arc.ilabel == LEXICON.phone_ids[phones[place]]:
                paths.append((arc.nextstate, place + 1, said))
    return found


def test_the_transducer_gives_every_word_sequence_with_silence_wherever_words_meet() -> None:
    fst, ids = LEXICON.fst(disambiguate=False), LEXICON.word_ids
    assert accepted(fst, ["ey", "t"]) == {(ids["EIGHT"],), (ids["ATE"],)}
    assert accepted(fst, ["SIL", "ey", "SIL", "t", "iy"]) == {(ids["A"], ids["TEA"])}
    assert accepted(fst, ["ey", "t", "iy"]) == {(ids["A"], ids["TEA"])}
    assert accepted(fst, ["t"]) == set()
