"""48 utterances of AN4, their MFCC shards, and an HMM system trained on them."""

from __future__ import annotations

from pathlib import Path

import click
import yaml
from click.testing import CliRunner

from dasr.corpora.rejects import Rejects
from dasr.hmm import material
from dasr.hmm.system import HmmSystem

AN4 = Path(__file__).resolve().parents[2] / "corpora" / "an4"
HMM = {"leaves": 45, "gaussians": 250, "monophone_iterations": 5, "triphone_iterations": 2}


def call(command: click.Command, results: Path, *arguments: str) -> str:
    """Run a command on the configuration in `results`; its output. Errors pass through."""
    run = CliRunner().invoke(
        command, [*arguments, "--config", str(results / "config.yaml")], catch_exceptions=False
    )
    assert run.exit_code == 0, run.output
    return run.output


def make(results: Path) -> Path:
    """A results folder with corpus, MFCC shards and HMM system; its configuration is `config.yaml` in it."""
    from dasr.corpora.command import corpus
    from dasr.features.command import features
    from dasr.hmm.command import hmm

    config = {
        "results": str(results),
        "corpus": {"path": str(AN4), "limit": 48},
        "features": {"shards": {"train": 1}},
        "hmm": HMM,
    }
    (results / "config.yaml").write_text(yaml.safe_dump(config))
    call(corpus, results)
    call(features, results, "mfcc", "--split", "train", "--shard", "0")
    call(hmm, results, "--jobs", "1")
    return results


def load(results: Path) -> tuple[material.AlignmentData, HmmSystem]:
    system = HmmSystem.load(results / "hmm")
    shards = [results / "features" / "mfcc" / "train" / "0000"]
    text = results / "corpus" / "train" / "text"
    return material.listing(shards, text, system.words, Rejects("test")).read(), system
