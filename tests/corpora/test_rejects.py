"""Utterances that a stage rejects: listed up to a fraction, an error beyond it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dasr.corpora.rejects import Rejects
from dasr.errors import UserError


def test_the_first_reason_of_an_utterance_is_kept_on_one_line() -> None:
    rejects = Rejects("features")
    rejects.add("u1", "is\n  empty")
    rejects.update([("u1", "is late"), ("u2", "is short")])
    assert rejects.reasons == {"u1": "is empty", "u2": "is short"} and len(rejects) == 2


def test_the_allowed_number_is_rounded_up_unless_none_is_allowed() -> None:
    rejects = Rejects("corpus", {"u1": "is empty"})
    rejects.check("train", total=3, fraction=0.01)
    with pytest.raises(UserError, match=r"train: 1 of 3 .*max_bad_fraction \(0\) allows 0; u1: is empty"):
        rejects.check("train", total=3, fraction=0.0)


def test_beyond_the_fraction_a_few_are_named_and_the_advice_is_given() -> None:
    rejects = Rejects("corpus", {f"u{i}": "is bad" for i in range(5)})
    with pytest.raises(UserError, match=r"u0: is bad; u1: is bad; u2: is bad; \.\.\. \(look there\)$"):
        rejects.check("dev", total=10, fraction=0.2, advice="look there")


def test_the_file_has_a_json_object_a_line(tmp_path: Path) -> None:
    Rejects("corpus", {"ü1": "is empty"}).write(tmp_path / "rejected.jsonl")
    (line,) = (tmp_path / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {"utterance": "ü1", "reason": "is empty", "stage": "corpus"}
