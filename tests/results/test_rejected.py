"""Rejected utterances of all stages together."""

from __future__ import annotations

import json
from pathlib import Path

from dasr.results import rejected


def test_utterances_of_all_stages_are_gathered_once_each(tmp_path: Path) -> None:
    one = {"utterance": "u1", "reason": "audio is empty"}
    for folder in ("features/mfcc/dev/0000", "features/fbank/dev/0000", "alignments/dev/0000"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "manifest.json").write_text(json.dumps({"rejected": [one]}))
    (tmp_path / "corpus" / "test").mkdir(parents=True)
    (tmp_path / "corpus" / "test" / "rejected.jsonl").write_text(
        json.dumps({**one, "utterance": "u2"}) + "\n"
    )
    notes: list[str] = []
    found = rejected.gather(tmp_path, notes)
    assert [(each.split, each.stage, each.utterance) for each in found] == [
        ("test", "corpus", "u2"), ("dev", "features", "u1"), ("dev", "alignment", "u1"),
    ]  # fmt: skip
    assert {each.reason for each in found} == {"audio is empty"} and notes == []


def test_a_results_folder_without_any_has_none(tmp_path: Path) -> None:
    assert rejected.gather(tmp_path, []) == []
