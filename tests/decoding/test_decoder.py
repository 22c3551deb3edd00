"""Decoding in several processes, and what a hypothesis says."""

from __future__ import annotations

from pathlib import Path

from dasr.decoding import search
from dasr.decoding.decoder import Decoder
from dasr.decoding.times import WordTimes
from tests.support.two_words import random_scores, viterbi


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


def test_a_hypothesis_has_the_words_of_the_best_path_within_the_utterance(graph_path: Path) -> None:
    scores, names = random_scores(3, 25), ["<eps>", "A", "B"]
    config = search.SearchConfig(beam=1000.0)
    decoder = Decoder([graph_path], [names], WordTimes(), [[0.7]], 0.01, config)
    (((hypothesis,),),) = decoder.decode([("u", scores)])
    _, words, _ = viterbi(scores, 0.7)
    assert hypothesis.words == [names[word] for word in words]
    ends = [second for span in hypothesis.times for second in span]
    assert ends == sorted(ends) and ends[0] >= 0 and ends[-1] <= 0.25 + 1e-9
