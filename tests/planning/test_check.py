"""Runs that could not be trained are refused before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from dasr import config
from dasr.errors import UserError
from dasr.planning.check import check_corpus, check_runs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strategies": ["single", "bmuff"]}, "no strategy 'bmuff'; did you mean 'bmuf'"),
        ({"strategies": [{"strategy": "bmuf", "tauu": 3}]}, "did you mean 'tau'"),
        ({"learners": [3], "batch": [32]}, "32 chunks cannot be shared equally by 3"),
        ({"strategies": [{"strategy": "ad", "mixing": "random-rin"}]}, "did you mean 'random-ring'"),
        ({"strategies": [{"strategy": "sd", "order": "mix-then-updat"}]}, "did you mean 'mix-then-update'"),
        ({"strategies": [{"strategy": "sc-allreduce", "compression": "fp61"}]}, "did you mean 'fp16'"),
        ({"strategies": [{"strategy": "slowmo", "inner": "sdd"}]}, "did you mean 'sd'"),
        ({"strategies": [{"strategy": "sgp", "graph": "exponentia"}]}, "did you mean 'exponential'"),
        ({"strategies": [{"strategy": "sc-ps", "servers": 0}]}, "'servers' must be at least 1"),
        ({"strategies": [{"strategy": "ac-ps", "servers": 0}]}, "'servers' must be at least 1"),
        ({"strategies": [{"strategy": "diloco", "fragments": 0}]}, "'fragments' must be at least 1"),
        ({"strategies": [{"strategy": "ad", "pace": 0.0}]}, "'pace' must be at least 0.001"),
        ({"strategies": [{"strategy": "sd", "optimizer": "adamw"}]}, "learning_rate 2 .* too high for adamw"),
        ({"strategies": [{"strategy": "diloco", "learning_rate": 2.0}]}, "too high for adamw"),
        ({"strategies": [{"strategy": "sd", "optimizer": "adam"}]}, "did you mean 'adamw'"),
        ({"strategies": [{"strategy": "sd", "schedule": "cosin"}]}, "did you mean 'cosine'"),
        ({"strategies": [{"strategy": "sd", "learning_rat": 1.0}]}, "has no option 'learning_rat'"),
    ],
)
def test_a_run_that_could_not_be_trained_is_refused(changes: dict[str, Any], message: str) -> None:
    check_runs(config.complete({"comparison": {"strategies": ["single", "diloco"]}}))
    with pytest.raises(UserError, match=message):
        check_runs(config.complete({"comparison": changes}))


def test_a_corpus_may_be_away_once_its_data_directories_are_made(tmp_path: Path) -> None:
    """The report is made again without the disk that held the recordings."""
    away = config.complete({"results": str(tmp_path / "results"), "corpus": {"path": str(tmp_path / "away")}})
    with pytest.raises(UserError, match=r"corpus\.path: there is no folder .*away"):
        check_corpus(away)
    lexicon = tmp_path / "results" / "corpus" / "lang" / "lexicon.txt"
    lexicon.parent.mkdir(parents=True)
    lexicon.write_text("A AH\n")
    check_corpus(away)
