"""Decoding in several processes, and what a hypothesis says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasr.decoding import search
from dasr.decoding.decoder import Decoder
from dasr.decoding.hypotheses import Setting
from dasr.decoding.times import WordTimes
from tests.support.two_words import random_scores, viterbi


def test_several_processes_give_what_one_gives_in_the_same_order(graph_path: Path) -> None:
    utterances = [(f"u{seed}", random_scores(seed, 30)) for seed in range(12)]
    names, settings = [["<eps>", "A", "B"]], [Setting(0.5), Setting(0.5, 1.0), Setting(1.0)]
    decoders = [
        Decoder([graph_path], names, WordTimes(), [settings], 0.01, search.SearchConfig(), jobs)
        for jobs in (1, 2)
    ]
    alone, together = (list(decoder.decode(iter(utterances))) for decoder in decoders)
    assert alone == together
    assert [one[0][0].utterance for one in alone] == [name for name, _ in utterances]
    assert all([one.setting for one in found[0]] == settings for found in alone)


def test_the_penalty_is_taken_from_the_blank_s_scores_before_they_are_scaled(graph_path: Path) -> None:
    scores, names = random_scores(0, 30), ["<eps>", "A", "B"]
    settings = [Setting(0.5, 1.0), Setting(0.5)]
    decoder = Decoder([graph_path], [names], WordTimes(), [settings], 0.01, search.SearchConfig())
    (((lowered, plain),),) = decoder.decode([("u", scores)])
    cost, words, _ = viterbi(scores - np.array([1, 0, 0], np.float32), 0.5)
    assert lowered.cost == pytest.approx(cost, rel=1e-4) and lowered.cost != plain.cost
    assert lowered.words == [names[word] for word in words]


def test_a_hypothesis_has_the_words_of_the_best_path_within_the_utterance(graph_path: Path) -> None:
    scores, names = random_scores(3, 25), ["<eps>", "A", "B"]
    config = search.SearchConfig(beam=1000.0)
    decoder = Decoder([graph_path], [names], WordTimes(), [[Setting(0.7)]], 0.01, config)
    (((hypothesis,),),) = decoder.decode([("u", scores)])
    _, words, _ = viterbi(scores, 0.7)
    assert hypothesis.words == [names[word] for word in words]
    ends = [second for span in hypothesis.times for second in span]
    assert ends == sorted(ends) and ends[0] >= 0 and ends[-1] <= 0.25 + 1e-9
