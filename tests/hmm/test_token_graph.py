"""The graph of CTC against the definition: paths collapse to units, units spell words."""

from __future__ import annotations

import itertools
from pathlib import Path

import kaldifst
import numpy as np
import pytest

from dasr.criteria.units import Units
from dasr.decoding import search
from dasr.errors import UserError
from dasr.hmm import token_graph
from dasr.results.layout import Layout

LEXICON = "A 1 x\nB 1 x x\nAB 0.5 x y\nAB 1 y\nOA 1 x\n"
COSTS = {"A": -0.3, "B": -0.5, "AB": -0.7, "OA": -1.1, "</s>": -1.0}
BACKOFF = {"A": -0.4, "<s>": -0.2}
BIGRAMS = {("A", "A"): -0.1, ("A", "B"): -0.6, ("<s>", "OA"): -0.05, ("A", "</s>"): -0.2}
ARPA = """\\data\\
ngram 1={}
ngram 2={}

\\1-grams:
{}-99\t<s>\t-0.2

\\2-grams:
{}
\\end\\
"""


def arpa(costs: dict[str, float], bigrams: dict[tuple[str, str], float]) -> str:
    ones = "".join(f"{cost}\t{word}\t{BACKOFF.get(word, 0.0)}\n" for word, cost in costs.items())
    twos = "".join(f"{cost}\t{' '.join(words)}\n" for words, cost in bigrams.items())
    return ARPA.format(len(costs) + 1, len(bigrams), ones, twos)


@pytest.fixture
def units(tmp_path: Path) -> Units:
    layout = Layout(tmp_path)
    layout.lang.mkdir(parents=True)
    (layout.lang / "lexiconp.txt").write_text(LEXICON)
    (tmp_path / "lm.arpa").write_text(arpa(COSTS, BIGRAMS))
    return Units.read("phones", layout)


PRONUNCIATION: dict[tuple[str, tuple[str, ...]], float] = {("AB", ("x", "y")): float(np.log(2))}


def language_cost(words: list[str]) -> float:
    """-log p of a sentence, by the definition of a back-off model; a transducer takes the better of both."""
    log10 = 0.0
    for pair in itertools.pairwise(["<s>", *words, "</s>"]):
        log10 += max(BIGRAMS.get(pair, -99.0), BACKOFF.get(pair[0], 0.0) + COSTS[pair[1]])
    return -float(np.log(10)) * log10


def best_by_enumeration(scores: np.ndarray, units: Units) -> tuple[float, list[str]]:
    """The cheapest (cost, words) over all paths, spellings and up to three words."""
    cost_of: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=len(scores)):
        said = tuple(unit for unit, _ in itertools.groupby(path) if unit)
        cost = -sum(float(scores[t, unit]) for t, unit in enumerate(path))
        cost_of[said] = min(cost, cost_of.get(said, np.inf))
    best: tuple[float, list[str]] = (np.inf, [])
    for count in range(4):
        for words in itertools.product(units.spellings, repeat=count):
            said = tuple(units.ids[unit] for _, spelling in words for unit in spelling)
            rest = language_cost([word for word, _ in words]) + sum(
                PRONUNCIATION.get(row, 0.0) for row in words
            )
            best = min(best, (cost_of.get(said, np.inf) + rest, [word for word, _ in words]))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_the_best_path_is_that_of_all_paths_spellings_and_words(
    units: Units, tmp_path: Path, seed: int
) -> None:
    token_graph.write_graph(tmp_path / "graph", units, tmp_path / "lm.arpa")
    scores = 3 * np.random.default_rng(seed).normal(size=(5, 3)).astype(np.float32)
    graph = search.read_graph(tmp_path / "graph" / "HCLG.fst")
    words = search.read_words(tmp_path / "graph" / "words.txt")
    found = search.best_path(graph, scores, 1.0, search.SearchConfig(beam=1000.0))
    cost, expected = best_by_enumeration(scores, units)
    assert [words[word] for word in found.words] == expected
    assert found.cost == pytest.approx(cost, abs=5e-3)  # weights are rounded to 1/1024 by minimising


def test_tokens_collapse_as_ctc_does(units: Units) -> None:
    tokens = token_graph.tokens(units, 0)
    for path in itertools.product(range(3), repeat=4):
        line = kaldifst.StdVectorFst()
        states = [line.add_state() for _ in range(5)]
        line.start = states[0]
        line.set_final(states[-1], 0.0)
        for (a, b), unit in zip(itertools.pairwise(states), path, strict=True):
            line.add_arc(a, kaldifst.StdArc(unit + 1, unit + 1, 0.0, b))
        read = kaldifst.compose(line, kaldifst.arcsort(tokens, sort_type="ilabel") or tokens)
        merged = [unit for unit, _ in itertools.groupby(path) if unit]
        written, state = [], read.start
        while read.num_arcs(state):
            arc = next(iter(kaldifst.ArcIterator(read, state)))
            written += [arc.olabel] if arc.olabel else []
            state = arc.nextstate
        assert written == merged


def test_a_model_whose_words_are_not_in_the_lexicon_is_refused(units: Units, tmp_path: Path) -> None:
    (tmp_path / "other.arpa").write_text(arpa({"ZOO": -0.3, "</s>": -1.0}, {}))
    with pytest.raises(UserError, match="is empty"):
        token_graph.write_graph(tmp_path / "graph", units, tmp_path / "other.arpa")
