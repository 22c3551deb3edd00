"""The beam search against a Viterbi recursion written in NumPy, and parallel decoding against sequential."""

from pathlib import Path

import kaldifst
import numpy as np
import pytest

from dasr.decoding import search
from dasr.decoding.decoder import Decoder
from dasr.decoding.times import WordTimes
from dasr.errors import UserError

# Two words, A (tied states 0 1) and B (2 0); each state loops; a word's label is on its first arc.
ARCS = [  # from, to, pdf, word, cost
    (0, 1, 0, 1, 0.2), (1, 1, 0, 0, 0.3), (1, 2, 1, 0, 0.9), (2, 2, 1, 0, 0.3),
    (0, 3, 2, 2, 1.7), (3, 3, 2, 0, 0.3), (3, 4, 0, 0, 0.9), (4, 4, 0, 0, 0.3),
    (2, 1, 0, 1, 0.7), (2, 3, 2, 2, 2.2), (4, 1, 0, 1, 0.7), (4, 3, 2, 2, 2.2),
]  # fmt: skip
FINAL = {2: 0.1, 4: 0.4}


def viterbi(scores: np.ndarray, scale: float) -> tuple[float, list[int], list[int]]:
    """Cost, words and pdfs of the best path: an exhaustive dynamic programme over ARCS."""
    best: dict[int, tuple[float, list[int], list[int]]] = {0: (0.0, [], [])}
    for row in scores:
        after: dict[int, tuple[float, list[int], list[int]]] = {}
        for start, end, pdf, word, cost in ARCS:
            if start in best:
                so_far, words, pdfs = best[start]
                total = so_far + cost - scale * row[pdf]
                if end not in after or total < after[end][0]:
                    after[end] = (total, words + [word] * (word > 0), [*pdfs, pdf])
        best = after
    ends = [
        (cost + FINAL[state], words, pdfs) for state, (cost, words, pdfs) in best.items() if state in FINAL
    ]
    return min(ends)


@pytest.fixture(scope="module")
def graph_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = "".join(f"{a} {b} {pdf + 1} {word} {cost}\n" for a, b, pdf, word, cost in ARCS)
    fst = kaldifst.compile(text + "".join(f"{s} {c}\n" for s, c in FINAL.items()), acceptor=False)
    path = tmp_path_factory.mktemp("graph") / "HCLG.fst"
    fst.write(str(path))
    return path


def random_scores(seed: int, frames: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 3)).astype(np.float32) * 3


@pytest.mark.parametrize("seed", range(20))
def test_the_best_path_is_that_of_the_viterbi_recursion(graph_path: Path, seed: int) -> None:
    scores = random_scores(seed, frames=5 + seed)
    found = search.best_path(search.read_graph(graph_path), scores, 0.7, search.SearchConfig(beam=1000.0))
    cost, words, pdfs = viterbi(scores, 0.7)
    assert found.cost == pytest.approx(cost, rel=1e-4)
    assert (found.words, found.pdfs) == (words, pdfs)
    assert all(found.pdfs[frame] in (0, 2) for frame in found.emitted)  # labels lie on words' first states


def test_an_utterance_too_short_for_any_word_still_gives_a_partial_path_and_an_empty_one_none(
    graph_path: Path,
) -> None:
    graph = search.read_graph(graph_path)
    assert len(search.best_path(graph, random_scores(1, 1), 1.0).pdfs) == 1
    assert search.best_path(graph, np.zeros((0, 3), np.float32), 1.0) == search.BestPath([], [], [], None)


def test_several_processes_give_what_one_gives_in_the_same_order(graph_path: Path) -> None:
    utterances = [(f"u{seed}", random_scores(seed, 30)) for seed in range(12)]
    decoders = [
        Decoder(
            [graph_path], [["<eps>", "A", "B"]], WordTimes(), [[0.5, 1.0]], 0.01, search.SearchConfig(), jobs
        )
        for jobs in (1, 2)
    ]
    alone, together = (list(decoder.decode(iter(utterances))) for decoder in decoders)
    assert alone == together
    assert [one[0][0].utterance for one in alone] == [name for name, _ in utterances]
    assert {hypothesis.scale for one in alone for hypothesis in one[0]} == {0.5, 1.0}


def test_a_missing_or_foreign_graph_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dasr graph` first"):
        search.read_graph(tmp_path / "HCLG.fst")
    (tmp_path / "HCLG.fst").write_text("not an fst")
    with pytest.raises(UserError, match="make the graph again"):
        search.read_graph(tmp_path / "HCLG.fst")
    (tmp_path / "words.txt").write_text("<eps> 0\nA\n")
    with pytest.raises(UserError, match=r"words\.txt:2"):
        search.read_words(tmp_path / "words.txt")
