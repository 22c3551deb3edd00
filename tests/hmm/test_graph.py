"""HCLG accepts what it should at the right cost, by a plain Viterbi search of all short sentences."""

import itertools
import math
from pathlib import Path

import kaldifst
import numpy as np
import pytest

from dasr.decoding.search import SearchConfig, best_path, read_graph, read_words
from dasr.errors import UserError
from dasr.hmm import arpa, graph, ngram
from dasr.hmm.aligner import Worker
from dasr.hmm.material import AlignmentData
from dasr.hmm.system import HmmSystem
from tests.hmm.test_arpa import cheapest

VOCABULARY = ["A", "FIVE", "ZERO"]
SENTENCES = [["A", "FIVE"], ["ZERO", "A"], ["FIVE"], ["A"], ["ZERO", "ZERO", "A"]]


@pytest.fixture(scope="module")
def built(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[HmmSystem, Path, Path]:
    folder = tmp_path_factory.mktemp("graph")
    system = HmmSystem.load(small / "hmm")
    (folder / "lm.arpa").write_text(ngram.estimate(SENTENCES, VOCABULARY, 2).arpa())
    graph.write_graph(folder / "graph", system, folder / "lm.arpa")
    return system, folder / "graph", folder / "lm.arpa"


def viterbi(fst: kaldifst.StdVectorFst, scores: np.ndarray, pdf_of: np.ndarray) -> float:
    """Cost of the best path of a training graph (transition ids), frame by frame, in plain Python."""
    arcs = {s: list(kaldifst.ArcIterator(fst, s)) for s in range(fst.num_states)}

    def without_input(costs: dict[int, float]) -> dict[int, float]:
        queue = list(costs)
        for state in queue:
            for arc in arcs[state]:
                cost = costs[state] + arc.weight.value
                if arc.ilabel == 0 and cost < costs.get(arc.nextstate, math.inf) - 1e-9:
                    costs[arc.nextstate] = cost
                    queue.append(arc.nextstate)
        return costs

    costs = without_input({fst.start: 0.0})
    for frame in scores:
        following: dict[int, float] = {}
        for state, cost in costs.items():
            for arc in arcs[state]:
                if arc.ilabel:
                    total = cost + arc.weight.value - frame[pdf_of[arc.ilabel]]
                    following[arc.nextstate] = min(following.get(arc.nextstate, math.inf), total)
        costs = without_input(following)
    return min((cost + fst.final(state).value for state, cost in costs.items()), default=math.inf)


@pytest.mark.parametrize("seed", range(3))
def test_the_best_path_is_the_best_of_all_word_sequences(
    built: tuple[HmmSystem, Path, Path], seed: int
) -> None:
    system, folder, model = built
    scores = np.random.default_rng(seed).normal(0, 2, (26, system.num_pdfs)).astype(np.float32)
    grammar = arpa.grammar(model, {**system.words, "#0": system.words["ZERO"] + 1})
    sequences = [said for n in (1, 2, 3) for said in itertools.product(VOCABULARY, repeat=n)]
    ids = [[system.words[word] for word in said] for said in sequences]
    nothing = AlignmentData([], np.zeros((0, 13), np.float32), np.zeros(1, int), [], np.zeros(0, int))
    worker = Worker(nothing, system.lexicon_fst)
    compiler = worker.compiler(system.transitions)
    costs = {
        said: viterbi(compiler.compile_graph_from_text(words), scores, system.transitions.pdf_of)
        + cheapest(grammar, words, system.words["ZERO"] + 1)
        for said, words in zip(sequences, ids, strict=True)
    }
    best = min(costs, key=costs.__getitem__)
    hclg, words = read_graph(folder / "HCLG.fst"), read_words(folder / "words.txt")
    found = best_path(hclg, scores, 1.0, SearchConfig(beam=500.0, max_active=100_000))
    assert len(found.words) <= 3  # 26 frames have no room for more that could win here
    assert tuple(words[word] for word in found.words) == best
    assert found.cost == pytest.approx(costs[best], abs=0.02)
    assert len(found.pdfs) == 26 and max(found.pdfs) < system.num_pdfs


def test_a_language_model_of_unknown_words_makes_no_graph(
    built: tuple[HmmSystem, Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "lm.arpa").write_text(ngram.estimate([["QUX"]], ["QUX"], 1).arpa().replace("</s>", "BAZ"))
    with pytest.raises(UserError, match="is empty"):
        graph.write_graph(tmp_path / "graph", built[0], tmp_path / "lm.arpa")


def test_a_language_model_in_another_case_makes_no_graph(
    built: tuple[HmmSystem, Path, Path], tmp_path: Path
) -> None:
    """Its sentence start still backs off, and the empty sentence ends: neither reads a word."""
    text = "\\data\\\nngram 1=3\n\n\\1-grams:\n-99\t<s>\n-1\t</s>\n-0.5\tone\n\n\\end\\\n"
    (tmp_path / "lm.arpa").write_text(text)
    with pytest.raises(UserError, match="is empty: do its words occur"):
        graph.write_graph(tmp_path / "graph", built[0], tmp_path / "lm.arpa")
