"""Word times from the path's tied states, on paths drawn from known pronunciations."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.decoding.times import WordTimes

LEXICON: dict[str, list[tuple[str, ...]]] = {
    "HI": [("HH", "AY")],
    "EYE": [("AY",)],
    "AID": [("EY", "D")],
    "A": [("AH",), ("EY",)],
    "DAY": [("D", "EY")],
}
PHONES = ["SIL", "HH", "AY", "EY", "D", "AH"]
# Two context-dependent variants of each phone's three states: tied state 3 * phone + state, and 18 more.
STATES = [frozenset({(phone, state)}) for _ in range(2) for phone in PHONES for state in range(3)]
TIMES = WordTimes(LEXICON, STATES, frozenset({"SIL"}))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(LEXICON)), min_size=1, max_size=6), st.integers(0, 10_000))
def test_words_are_cut_where_their_phones_begin_and_end(words: list[str], seed: int) -> None:
    draw = random.Random(seed)
    pdfs: list[int] = []
    truth = []

    def say(phone: str) -> None:
        variant = 18 * draw.randrange(2)
        for state in range(3):
            pdfs.extend([3 * PHONES.index(phone) + state + variant] * draw.randint(1, 4))

    for word in words:
        if draw.random() < 0.5:
            say("SIL")
        begin = len(pdfs)
        for phone in draw.choice(LEXICON[word]):
            say(phone)
        truth.append((begin, len(pdfs)))
    if draw.random() < 0.5:
        say("SIL")
    assert TIMES.spans(words, [begin for begin, _ in truth], pdfs) == truth


def test_without_a_transition_model_words_begin_at_their_labels() -> None:
    assert WordTimes().spans(["HI", "A"], [3, 9], [0] * 20) == [(3, 9), (9, 20)]
    assert WordTimes().spans([], [], [0] * 20) == []


def test_a_word_that_the_lexicon_lacks_falls_back_to_labels() -> None:
    assert TIMES.spans(["HI", "FOREIGN"], [1, 4], [0, 1, 2, 3, 4, 5]) == [(1, 4), (4, 6)]
