"""Reference transcripts for scoring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dasr.decoding import transcripts
from dasr.errors import UserError
from dasr.results.rejected import Rejected, by_features


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "corpus" / "dev").mkdir(parents=True)
    (tmp_path / "corpus" / "dev" / "text").write_text("u1 ONE TWO\nu2 THREE\nu3\n")
    shard = tmp_path / "features" / "fbank" / "dev" / "0000"
    shard.mkdir(parents=True)
    rejected = [{"utterance": "u2", "reason": "is too short"}]
    (shard / "manifest.json").write_text(json.dumps({"rejected": rejected}))
    return tmp_path


def test_rejected_utterances_are_reported_and_not_scored(results: Path) -> None:
    assert list(by_features(results, "dev")) == [Rejected("dev", "features", "u2", "is too short")]
    references, rejected = transcripts.read_references(results, "dev", {"u1": 0, "u3": 0})
    assert references == {"u1": ["ONE", "TWO"], "u3": []} and rejected == ["u2"]


def test_a_score_over_a_part_of_a_split_is_refused(results: Path) -> None:
    with pytest.raises(UserError, match=r"1 utterances of dev were not decoded \(the first: u3\)"):
        transcripts.read_references(results, "dev", {"u1": 0})
    with pytest.raises(UserError, match=r"no transcript in dev/text \(the first: u9\)"):
        transcripts.read_references(results, "dev", {"u1": 0, "u3": 0, "u9": 0})
