"""The DAG end to end on real speech, and what it does again when something changes."""

import csv
import os
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import Project

pytestmark = pytest.mark.slow
COLUMNS = """
    strategy learners batch seed samples seconds frames_per_s heldout_ce wer_unigram wer_ngram wer_low
    wer_high p_vs_sc_allreduce p_vs_lowest_unigram p_vs_lowest_ngram run_spread
    mb_sent_per_learner wait_fraction staleness_mean training diverged
"""

AFTER_RUNS = ["compare", "report", "track", "all"]


def test_plan_and_tune_are_rules_for_which_the_finished_stages_are_enough(finished: Project) -> None:
    assert finished.planned("--", "plan") == {"plan": 1, "total": 1}
    assert finished.planned("--", "tune") == {"tune": 1, "total": 1}


def test_every_stage_runs_and_the_table_has_its_columns(finished: Project) -> None:
    with open(finished.folder / "results" / "comparison.tsv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert list(rows[0]) == COLUMNS.split()
    assert [row["strategy"] for row in rows] == ["single", "sc-allreduce", "ad"]
    assert len({row["samples"] for row in rows}) == 1, "every strategy has the same budget"
    assert all(0 < float(row["wer_unigram"]) <= 150 for row in rows)
    assert (finished.folder / "results" / "report.html").stat().st_size > 10_000


def test_a_second_run_has_nothing_to_do(finished: Project) -> None:
    assert finished.planned() == {}


def test_touching_one_test_recording_retrains_nothing(finished: Project) -> None:
    touch(first_audio(finished, "test"))
    planned = finished.planned()
    assert planned["features"] == planned["adapt"] == 1  # that split's only shard
    assert not {"hmm", "align", "train", "graph", "corpus"} & set(planned)
    assert {"decode", "score", "compare"} <= set(planned)
    finished.snakemake()
    assert finished.planned() == {}


def test_another_recording_with_an_older_time_redoes_its_shard_only(finished: Project) -> None:
    audio = first_audio(finished, "train")
    before = audio.stat().st_mtime_ns  # seconds as a float would lose the last digits
    os.utime(audio, (1.0, 1.0))
    try:
        assert finished.planned()["features"] == 1
    finally:
        os.utime(audio, ns=(before, before))


def test_touching_one_training_recording_redoes_its_shard_only(finished: Project) -> None:
    audio = first_audio(finished, "train")
    before = audio.stat().st_mtime_ns  # seconds as a float would lose the last digits
    touch(audio)
    try:
        assert finished.planned()["features"] == 1
    finally:
        os.utime(audio, ns=(before, before))


def test_an_option_of_decoding_retrains_nothing(finished: Project) -> None:
    finished.configure(decoding={"beam": 11.0})
    try:
        planned = finished.planned()
    finally:
        finished.configure()
    assert "decode" in planned
    assert not {"corpus", "features", "hmm", "align", "train", "graph", "evaluate"} & set(planned)


@pytest.mark.parametrize(
    ("removed", "again"),
    [
        ("runs", ["train", "evaluate", "decode", "score", *AFTER_RUNS]),
        ("decode", ["decode", "score", *AFTER_RUNS]),
    ],
)
def test_what_was_removed_of_one_run_is_made_again(finished: Project, removed: str, again: list[str]) -> None:
    (there,) = (finished.folder / "results" / removed).glob("sc-allreduce-*")
    aside = there.rename(finished.folder / "aside")
    try:
        planned = finished.planned()
    finally:
        aside.rename(there)
    assert {rule: times for rule, times in planned.items() if rule != "total"} == dict.fromkeys(again, 1)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"training": {"epochs": 0.6}}, {"train": 3, "evaluate": 3, "decode": 3, "score": 3}),
        (
            {"hmm": {"leaves": 61}},
            {"hmm": 1, "graph": 2, "train": 3, "evaluate": 3, "decode": 3, "score": 3},
        ),
    ],
)
def test_what_another_tree_or_more_epochs_redo(
    finished: Project, change: dict[str, dict[str, object]], again: dict[str, int]
) -> None:
    """The counts of docs/rerun.md, for three runs."""
    finished.configure(**change)
    try:
        planned = finished.planned()
    finally:
        finished.configure()
    if "hmm" in change:  # every shard's
        assert planned.pop("align") >= 2 and planned.pop("adapt") >= 3
    planned.pop("total")
    assert planned == again | dict.fromkeys(AFTER_RUNS, 1)


def test_another_strategy_is_added_without_redoing_the_others(finished: Project) -> None:
    finished.configure(comparison={"strategies": ["single", "sc-allreduce", "ad", "bmuf"]})
    try:
        planned = finished.planned()
    finally:
        finished.configure()
    assert planned["train"] == 1


def test_a_mistyped_key_stops_before_anything_runs(finished: Project) -> None:
    finished.configure(trainng={"epochs": 3})
    try:
        run = finished.snakemake("--dry-run", check=False)
    finally:
        finished.configure()
    assert run.returncode != 0
    assert "unknown key 'trainng' at top level; did you mean 'training'?" in run.stdout + run.stderr


def first_audio(project: Project, split: str) -> Path:
    scp = project.folder / "results" / "corpus" / split / "shards" / "0000" / "wav.scp"
    return project.folder / scp.read_text(encoding="utf-8").split()[1]


def touch(path: Path) -> None:
    later = time.time() + 1
    os.utime(path, (later, later))
