"""A run that has diverged is not decoded unless asked, and the stages after it go on without its words."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from dasr import config as dasr_config
from dasr.cli import dasr
from dasr.results import comparison, records
from dasr.results.layout import LMS, Layout
from tests.support import synthetic


def diverge(config: dasr_config.Config, run: str) -> None:
    """Let its last held-out loss be worse than its first weights were."""
    path = Layout.of(config).run(run) / "heldout.jsonl"
    lines = path.read_text().splitlines()
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"ce": 50.0, "start_ce": 6.0, "priors_ce": 4.9})
    path.write_text("\n".join(lines) + "\n")


def test_a_run_that_has_diverged_is_not_decoded_and_has_no_word_error_rate(tmp_path: Path) -> None:
    path = synthetic.make(tmp_path, strategies=["single", "ad"], seeds=[0])
    config = dasr_config.load(path)
    _, bad = (run.name for run in dasr_config.runs(config))
    diverge(config, bad)
    for command in (["decode", bad, "all", "all"], ["score", bad, "all"]):
        done = CliRunner().invoke(dasr, [*command, "--config", str(path)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    for lm in LMS:
        assert json.loads(Layout.of(config).score(bad, lm).read_text())["diverged"] is True
    found = records.read_comparison(config)
    table = {row["strategy"]: row for row in comparison.rows(found, Path(config.results))}
    assert table["ad"]["diverged"] == "yes" and table["ad"]["wer_unigram"] == table["ad"]["wer_ngram"] == ""
    assert table["single"]["diverged"] == "" and table["single"]["wer_unigram"]
    assert not any("no word error rate" in note for note in found.notes)


def test_a_run_that_has_diverged_is_decoded_where_the_configuration_says_so(tmp_path: Path) -> None:
    path = synthetic.make(tmp_path, strategies=["ad"], seeds=[0])
    path.write_text(path.read_text().replace("diverged: false", "diverged: true"))
    config = dasr_config.load(path)
    (bad,) = (run.name for run in dasr_config.runs(config))
    diverge(config, bad)
    done = CliRunner().invoke(dasr, ["decode", bad, "all", "all", "--config", str(path)])
    assert done.exit_code != 0  # it looks for graphs and a model, which are not there
    assert Layout.of(config).hypotheses(bad, "unigram", "test").stat().st_size > 0
