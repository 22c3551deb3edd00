"""The beam search against a Viterbi recursion written in NumPy."""

from pathlib import Path

import numpy as np
import pytest

from dasr.decoding import search
from dasr.errors import UserError
from tests.support.two_words import random_scores, viterbi


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


def test_a_missing_or_foreign_graph_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dasr graph` first"):
        search.read_graph(tmp_path / "HCLG.fst")
    (tmp_path / "HCLG.fst").write_text("not an fst")
    with pytest.raises(UserError, match="make the graph again"):
        search.read_graph(tmp_path / "HCLG.fst")
    (tmp_path / "words.txt").write_text("<eps> 0\nA\n")
    with pytest.raises(UserError, match=r"words\.txt:2"):
        search.read_words(tmp_path / "words.txt")
