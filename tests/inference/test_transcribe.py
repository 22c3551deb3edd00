"""Transcribing gives the words of the workflow's stages, and files that scoring tools read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.cli import dasr
from dasr.config import Config
from dasr.decoding import hypotheses
from dasr.decoding.hypotheses import Setting
from dasr.hmm.system import HmmSystem
from dasr.inference import pieces, transcribe
from dasr.inference.transcribe import Transcript
from dasr.models import acoustic
from dasr.models.acoustic import AcousticModel
from dasr.results.layout import Layout
from tests.support.small_corpus import call

RUN = "ad-L4-B32-S0"


def test_words_of_a_recording_are_written_with_times_within_it(tmp_path: Path) -> None:
    said = [Transcript("u", "r", ["A", "B"], [(0.5, 0.7), (31.0, 31.0)]), Transcript("v", "r")]
    transcribe.write(said, tmp_path)
    assert (tmp_path / "text").read_text() == "u A B\nv\n"
    assert (tmp_path / "hyp.trn").read_text() == "A B (u)\n(v)\n"
    assert (tmp_path / "hyp.ctm").read_text() == "r 1 0.500 0.200 A\nr 1 31.000 0.001 B\n"


@pytest.fixture(scope="module")
def decoded(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A model that knows little, and what `dasr decode` says with it of the test set."""
    from dasr.adaptation.command import adapt
    from dasr.decoding.command import decode
    from dasr.features.command import features
    from dasr.hmm.command import graph

    own = tmp_path_factory.mktemp("decoded") / "results"  # other tests want `small` without these
    shutil.copytree(small, own)
    settings = yaml.safe_load((own / "config.yaml").read_text()) | {"results": str(own)}
    (own / "config.yaml").write_text(yaml.safe_dump(settings))
    call(graph, own, "unigram")
    call(features, own, "mfcc", "--split", "test", "--shard", "0")
    call(adapt, own, "--split", "test", "--shard", "0", "--jobs", "1")
    config = dasr_config.load(own / "config.yaml")
    layout = Layout.of(config)
    system = HmmSystem.load(layout.hmm)
    torch.manual_seed(0)
    model = AcousticModel(config.model.shape, 40, system.num_pdfs)
    layout.run(RUN).mkdir(parents=True)
    acoustic.save(model, layout.run(RUN) / acoustic.MODEL_FILE)
    call(decode, own, RUN, "unigram", "test", "--jobs", "1")
    score = {"scale": 0.1, "blank_penalty": 0.0}
    layout.score(RUN, "unigram").write_text(json.dumps(score))
    return config


@pytest.mark.slow
def test_transcribing_gives_the_words_of_decoding(decoded: Config, tmp_path: Path) -> None:
    layout = Layout.of(decoded)
    config_path = tmp_path / "config.yaml"
    config_path.write_text(yaml.safe_dump(decoded.plain()))
    arguments = ["transcribe", RUN, str(layout.data("test")), "--lm", "unigram", "--jobs", "1"]
    run = CliRunner().invoke(
        dasr,
        [*arguments, "--out", str(tmp_path / "out"), "--config", str(config_path)],
        catch_exceptions=False,
    )
    assert run.exit_code == 0, run.output
    expected = hypotheses.read(layout.hypotheses(RUN, "unigram", "test"))[Setting(0.1)]
    found = dict(line.partition(" ")[::2] for line in (tmp_path / "out" / "text").read_text().splitlines())
    assert found == {name: " ".join(one.words) for name, one in expected.items()}
    assert any(found.values())


@pytest.mark.slow
def test_pieces_of_a_recording_are_one_transcript_again(
    decoded: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dasr.corpora.rejects import Rejects
    from dasr.inference import sources

    monkeypatch.setattr(pieces, "LONGEST_S", 1.5)
    monkeypatch.setattr(pieces, "SHORTEST_S", 0.5)
    entries = sources.entries([Layout.of(decoded).data("test")], Rejects("t"))[:4]
    parts = [list(pieces.cut(entry)) for entry in entries]
    assert max(map(len, parts)) > 1
    task = transcribe.Task(decoded, RUN, "unigram", 1, "cpu")
    rejects = Rejects("t")
    found = list(transcribe.transcribe(task, entries, rejects))
    assert [one.utterance for one in found] == [entry.utterance for entry in entries] and not rejects
    for one in found:
        assert one.times == sorted(one.times) and len(one.times) == len(one.words)
