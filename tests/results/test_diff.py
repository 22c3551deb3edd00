"""Two results folders side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dasr import checksums
from dasr.errors import UserError
from dasr.results import diff
from dasr.results.layout import Layout
from dasr.results.significance import holm, paired_p_value
from dasr.results.trn import read_trn
from tests.support import synthetic

RUNS = ("single-L1-B32-S0", "ad-L4-B32-S0")


def results(folder: Path) -> Path:
    return synthetic.make(folder, strategies=["single", "ad"], seeds=[0]).parent / "results"


def test_a_folder_does_not_differ_from_its_copy(tmp_path: Path) -> None:
    one = results(tmp_path)
    shutil.copytree(one, tmp_path / "copy")
    found = diff.compare(one, tmp_path / "copy")
    assert [(d.run, d.lm) for d in found.differences] == [
        (run, lm) for run in sorted(RUNS) for lm in ("ngram", "unigram")
    ]
    assert all(d.before == d.after and d.p == 1 for d in found.differences)
    assert not found.only_before and not found.only_after


def test_a_run_against_another_has_the_corrected_p_of_the_paired_test(tmp_path: Path) -> None:
    one = results(tmp_path)
    other = tmp_path / "other"
    shutil.copytree(one, other)
    a, b = (Layout(one).decoded(run, "unigram") for run in RUNS)
    shutil.rmtree(Layout(other).decoded(RUNS[1], "unigram"))
    shutil.copytree(a, Layout(other).decoded(RUNS[1], "unigram"))
    shutil.rmtree(Layout(other).decoded(RUNS[0], "ngram"))
    found = diff.compare(one, other)
    raw = paired_p_value(read_trn(a / "ref.trn"), read_trn(a / "test.trn"), read_trn(b / "test.trn"))
    by_pair = {(d.run, d.lm): d for d in found.differences}
    assert by_pair[RUNS[1], "unigram"].p == pytest.approx(holm([raw, 1, 1])[0])
    assert found.only_before == [(RUNS[0], "ngram")] and not found.only_after


def test_other_test_sets_have_no_p_and_folders_without_scores_are_refused(tmp_path: Path) -> None:
    one, other = results(tmp_path), tmp_path / "other"
    shutil.copytree(one, other)
    path = Layout(other).decoded(RUNS[0], "unigram") / "ref.trn"
    text = path.read_text()
    with checksums.sealed(path) as temporary:
        temporary.write_text("".join(text.splitlines(True)[:-1]))
    by_pair = {(d.run, d.lm): d.row()["p"] for d in diff.compare(one, other).differences}
    assert by_pair[RUNS[0], "unigram"] == "-" and by_pair[RUNS[0], "ngram"] == "1.0000"
    with pytest.raises(UserError, match="is not a results folder"):
        diff.compare(one, tmp_path)
    shutil.rmtree(other / "decode" / RUNS[0])
    (other / "decode" / RUNS[1]).rename(other / "decode" / "another")
    with pytest.raises(UserError, match="no run and language model in common"):
        diff.compare(one, other)
