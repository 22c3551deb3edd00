"""metrics.jsonl and the records of learners in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dasr.training import metrics
from dasr.training.metrics import Metrics, learner_record, pack, summary, unpack
from dasr.worlds.interface import Accounts


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / metrics.FILE).read_text().splitlines()]


def test_a_resumed_run_repeats_no_line(tmp_path: Path) -> None:
    first = Metrics(tmp_path)
    first.write("train", step=1)
    position = first.position
    first.write("train", step=2)
    first.close()
    resumed = Metrics(tmp_path, position)
    resumed.write("train", step=2)
    resumed.close()
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_a_survivor_appends_to_what_another_learner_wrote(tmp_path: Path) -> None:
    first = Metrics(tmp_path)
    first.write("train", step=1)
    first.close()
    survivor = Metrics.append(tmp_path)
    survivor.write("summary", seconds=2.0)
    survivor.close()
    assert [line["kind"] for line in lines(tmp_path)] == ["train", "summary"]


def record(rank: int, seconds: float, staleness: dict[int, int]) -> dict[str, object]:
    accounts = Accounts(bytes_sent=2_000_000 * (rank + 1), wait_seconds=1.0, staleness=staleness)
    return learner_record(rank, steps=10, local_batch=4, chunk_frames=21, seconds=seconds, accounts=accounts)


def test_totals_of_a_run_follow_from_its_learners_records() -> None:
    both = [record(0, 10.0, {0: 3, 2: 1}), record(1, 6.0, {4: 1})]
    assert (both[0]["samples"], both[0]["frames"]) == (40, 840)
    total = summary(both, frames=1680)
    assert total == {
        "seconds": 10.0,
        "frames_per_s": 168.0,
        "mb_sent_per_learner": 3.0,
        "wait_fraction": pytest.approx(2 / 16),
        "staleness_mean": pytest.approx((2 + 4) / 5),
    }


def test_a_packed_record_comes_back_and_too_long_a_one_loses_its_longest_ages() -> None:
    short = record(0, 1.0, {0: 1, 3: 2})
    assert unpack(pack(short)) == short
    long = record(0, 1.0, {age: 10**9 for age in range(4000)})
    back = unpack(pack(long))
    kept = [int(age) for age in back["staleness"]]
    assert 100 < len(kept) < 4000 and kept == list(range(len(kept)))
    assert {**back, "staleness": {}} == {**long, "staleness": {}}
