"""`dasr units`, a model of its pieces, and their decoding graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from dasr.cli import dasr
from dasr.decoding import search
from dasr.hmm import token_graph
from dasr.results.layout import Layout
from dasr.tasks.transcribed import TranscribedShards
from tests.support import transcribed_corpus
from tests.support.transcribed_corpus import ctc_config


def test_pieces_are_learned_from_train_and_are_what_the_model_gives(tmp_path: Path) -> None:
    results = transcribed_corpus.make(tmp_path)
    config = ctc_config(results, units="bpe", pieces=8)
    path = tmp_path / "config.yaml"
    path.write_text(config.text())
    done = CliRunner().invoke(dasr, ["units", "--config", str(path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    train = TranscribedShards.of(config, "train")
    assert len(train.model(config).state_dict()["network.output.bias"]) == len(train.units.symbols)
    written = Layout.of(config).text("train").read_text().splitlines()
    bare = [line.partition(" ")[2].replace(" ", "") for line in written]
    spelled = [
        "".join(train.units.symbols[unit] for unit in units).replace("▁", "")
        for _, units in train.utterances()
    ]
    assert spelled == bare


def test_the_graph_of_pieces_recognises_what_they_spell(tmp_path: Path) -> None:
    results = transcribed_corpus.make(tmp_path)
    config = ctc_config(results, units="bpe", pieces=8)
    path = tmp_path / "config.yaml"
    path.write_text(config.text())
    CliRunner().invoke(dasr, ["units", "--config", str(path)], catch_exceptions=False)
    dev = TranscribedShards.of(config, "dev")
    costs = "".join(f"-1\t{word}\n" for word in (*transcribed_corpus.WORDS, "</s>"))
    (tmp_path / "lm.arpa").write_text(f"\\data\\\nngram 1=5\n\n\\1-grams:\n{costs}-99\t<s>\n\n\\end\\\n")
    token_graph.write_graph(tmp_path / "graph", dev.units, tmp_path / "lm.arpa")
    graph = search.read_graph(tmp_path / "graph" / "HCLG.fst")
    words = search.read_words(tmp_path / "graph" / "words.txt")
    written = [line.split()[1:] for line in Layout.of(config).text("dev").read_text().splitlines()]
    for (_, units), expected in zip(dev.utterances(), written, strict=True):
        outputs = [output for unit in units.tolist() for output in (unit, unit, 0)]  # 0: blank
        scores = np.full((len(outputs), len(dev.units.symbols)), -5.0, np.float32)
        scores[np.arange(len(outputs)), outputs] = 0.0
        found = search.best_path(graph, scores, 1.0, search.SearchConfig())
        assert [words[word] for word in found.words] == expected
