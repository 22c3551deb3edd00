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

LEXICON = "A x\nB x x\nAB x y\nOA x\n"
ARPA = "\\data\\\nngram 1=6\n\n\\1-grams:\n{}-1.0\t</s>\n-99\t<s>\n\n\\end\\\n"
COSTS = {"A": -0.3, "B": -0.5, "AB": -0.7, "OA": -1.1}


@pytest.fixture
def units(tmp_path: Path) -> Units:
    (tmp_path / "lexicon.txt").write_text(LEXICON)
    arpa = ARPA.format("".join(f"{cost}\t{word}\n" for word, cost in COSTS.items()))
    (tmp_path / "lm.arpa").write_text(arpa)
    return Units.read("phones", tmp_path / "lexicon.txt")


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
            lm = -np.log(10) * (sum(COSTS[word] for word, _ in words) - 1.0)
            best = min(best, (cost_of.get(said, np.inf) + lm, [word for word, _ in words]))
    return best


@pytest.mark.parametrize("seed", range(6))
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
    (tmp_path / "other.arpa").write_text(ARPA.replace("1=6", "1=3").format("-0.3\tZOO\n"))
    with pytest.raises(UserError, match="is empty"):
        token_graph.write_graph(tmp_path / "graph", units, tmp_path / "other.arpa")
