"""Hypotheses on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.decoding import hypotheses
from dasr.decoding.hypotheses import Hypothesis, Setting
from dasr.errors import UserError

SAID = [
    Hypothesis("u1", Setting(0.1), ["ONE", "ZWÖLF"], [(0.0, 0.25), (0.3, 1.125)], 12.5),
    Hypothesis("u1", Setting(0.1, 2.0), [], [], None),
    Hypothesis("u2", Setting(0.1), ["TWO"], [(0.0, 0.5)], -1.0),
]


def test_what_was_written_is_read_back_by_setting_and_utterance(tmp_path: Path) -> None:
    hypotheses.write(tmp_path / "dev.jsonl", SAID)
    assert hypotheses.read(tmp_path / "dev.jsonl") == {
        Setting(0.1): {"u1": SAID[0], "u2": SAID[2]},
        Setting(0.1, 2.0): {"u1": SAID[1]},
    }


def test_a_decoder_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    hypotheses.write(path, SAID[:1])
    with pytest.raises(ZeroDivisionError):
        hypotheses.write(path, (SAID[1] for _ in range(1 // 0)))
    assert list(hypotheses.read(path)) == [Setting(0.1)]


@pytest.mark.parametrize(
    "text", ["", "{}\n", '{"utterance": "u", "scale": 1, "words": [], "times": 3, "cost": 0}\n']
)
def test_a_line_that_is_no_hypothesis_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "dev.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"dev\.jsonl:1: not a hypothesis .*decode again"):
        hypotheses.read(tmp_path / "dev.jsonl")


def test_a_missing_file_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `dasr decode` first"):
        hypotheses.read(tmp_path / "dev.jsonl")


def test_a_file_that_was_emptied_is_damaged_and_not_that_of_a_run_that_diverged(tmp_path: Path) -> None:
    path = tmp_path / "test.jsonl"
    hypotheses.write(path, [])
    assert hypotheses.are_none(path)
    hypotheses.write(path, [Hypothesis("u", Setting(0.1), ["a"], [(0.0, 0.1)], 1.0)])
    path.write_bytes(b"")
    with pytest.raises(UserError, match="is damaged"):
        hypotheses.are_none(path)
