"""`dasr units`, and a model of its pieces."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dasr.cli import dasr
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
