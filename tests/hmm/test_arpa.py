"""The grammar transducer of a language model in ARPA format."""

import math
from pathlib import Path

import kaldifst
import pytest

from dasr.errors import UserError
from dasr.hmm import arpa, ngram
from dasr.hmm.lexicon_transducer import BACKOFF, BEGIN, END, EPSILON

WORDS = ["a", "b", "c", "d"]


def test_the_grammar_costs_what_the_model_says(tmp_path: Path) -> None:
    sentences = [["a", "b", "c"], ["a", "b"], ["c", "c", "a"], ["d"], ["a", "b", "d", "c"]]
    model = ngram.estimate(sentences, WORDS, 3)
    symbols = {word: n for n, word in enumerate([EPSILON, *WORDS, BACKOFF, BEGIN, END])}
    (tmp_path / "lm.arpa").write_text(model.arpa())
    automaton = arpa.grammar(tmp_path / "lm.arpa", symbols)
    for said in ([], ["a"], ["a", "b", "c"], ["d", "d", "b"], ["c", "a", "b", "b"]):
        line = [BEGIN, *said, END]
        expected = -sum(math.log(model.probability(line[n], tuple(line[:n]))) for n in range(1, len(line)))
        assert cheapest(automaton, [symbols[word] for word in said], symbols[BACKOFF]) <= expected + 1e-3
        # back-off arcs may be taken where the full n-gram exists, so that a detour may cost less, never more
        assert seen_path(automaton, [symbols[word] for word in said], symbols[BACKOFF]) == pytest.approx(
            expected, abs=1e-3
        )


def arcs_of(fst: kaldifst.StdVectorFst, state: int) -> list[kaldifst.StdArc]:
    return list(kaldifst.ArcIterator(fst, state))


def seen_path(fst: kaldifst.StdVectorFst, words: list[int], backoff: int) -> float:
    """Cost of reading `words`, backing off only where there is no arc for the word (or no final weight)."""
    state, cost = fst.start, 0.0
    for word in words:
        while not (match := [arc for arc in arcs_of(fst, state) if arc.ilabel == word]):
            (down,) = (arc for arc in arcs_of(fst, state) if arc.ilabel == backoff)
            state, cost = down.nextstate, cost + down.weight.value
        state, cost = match[0].nextstate, cost + match[0].weight.value
    while math.isinf(fst.final(state).value):
        (down,) = (arc for arc in arcs_of(fst, state) if arc.ilabel == backoff)
        state, cost = down.nextstate, cost + down.weight.value
    return float(cost + fst.final(state).value)


def cheapest(fst: kaldifst.StdVectorFst, words: list[int], backoff: int) -> float:
    """Least cost over all ways to read `words` with back-off arcs anywhere."""

    def closed(costs: dict[int, float]) -> dict[int, float]:
        queue = list(costs)
        for state in queue:
            for arc in arcs_of(fst, state):
                cost = costs[state] + arc.weight.value
                if arc.ilabel == backoff and cost < costs.get(arc.nextstate, math.inf):
                    costs[arc.nextstate] = cost
                    queue.append(arc.nextstate)
        return costs

    costs = closed({fst.start: 0.0})
    for word in words:
        following: dict[int, float] = {}
        for state, cost in costs.items():
            for arc in arcs_of(fst, state):
                if arc.ilabel == word:
                    following[arc.nextstate] = min(
                        following.get(arc.nextstate, math.inf), cost + arc.weight.value
                    )
        costs = closed(following)
    return min(float(cost + fst.final(state).value) for state, cost in costs.items())


def test_a_language_model_with_a_word_that_has_no_pronunciation_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = ngram.estimate([["a", "zebra"]], ["a", "zebra"], 2)
    symbols = {word: n for n, word in enumerate([EPSILON, "a", BACKOFF, BEGIN, END])}
    (tmp_path / "lm.arpa").write_text(model.arpa())
    caplog.set_level("INFO", "dasr")
    automaton = arpa.grammar(tmp_path / "lm.arpa", symbols)
    assert "zebra" in caplog.text
    assert automaton.num_states > 0


def test_what_is_not_a_language_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("hello\n")
    with pytest.raises(UserError, match="not an ARPA"):
        arpa.grammar(tmp_path / "lm.arpa", {})
