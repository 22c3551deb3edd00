"""The n-gram model sums to one after any history, and survives the way through ARPA into a transducer."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dasr.errors import UserError
from dasr.hmm import ngram
from dasr.hmm.lexicon_transducer import BEGIN, END

WORDS = ["a", "b", "c", "d"]


sentence = st.lists(st.sampled_from([*WORDS, "unknown"]), max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(sentence, max_size=30).map(lambda some: [*some, ["a"]]), st.integers(1, 4))
def test_probabilities_sum_to_one_after_every_history(sentences: list[list[str]], order: int) -> None:
    model = ngram.estimate(sentences, WORDS, order)
    for length in range(order):
        for history in itertools.product([BEGIN, *WORDS], repeat=length):
            if BEGIN not in history[1:]:
                total = sum(model.probability(word, history) for word in [*WORDS, END])
                assert total == pytest.approx(1, abs=1e-9)


def test_transcripts_without_a_known_word_are_an_error() -> None:
    with pytest.raises(UserError, match="no training transcript"):
        ngram.estimate([["unknown"]], WORDS, 2)


def test_bigram_equals_kneser_ney_worked_out_by_hand() -> None:
    # bigrams: <s>a 2, aa 1, ab 1, b</s> 2, and no counts of counts beyond two: discounts 0.5, 1.0, 1.5
    model = ngram.estimate([["a", "b"], ["a", "a", "b"]], ["a", "b"], 2)
    uniform = 1 / 3
    # different words before: a after <s>, a: 2; b after a: 1; </s> after b: 1
    a = (2 - 1.0) / 4 + (1.0 + 0.5 + 0.5) / 4 * uniform
    b = (1 - 0.5) / 4 + (1.0 + 0.5 + 0.5) / 4 * uniform
    assert model.probability("a", ()) == pytest.approx(a)
    # after a (3 times): a once, b twice
    assert model.probability("b", ("a",)) == pytest.approx((2 - 1.0) / 3 + (0.5 + 1.0) / 3 * b)
    assert model.probability(END, ("a",)) == pytest.approx((0.5 + 1.0) / 3 * b)  # unseen; as frequent as b
