"""Snapshots of learners' weights on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dasr.errors import UserError
from dasr.training import snapshots
from dasr.training.snapshots import Snapshot


def snapshot(rank: int) -> Snapshot:
    return Snapshot(torch.full((5,), float(rank)), rank, samples=320, seconds=1.25, epochs=0.5)


def test_snapshots_come_back_in_the_order_of_ranks_at_each_point(tmp_path: Path) -> None:
    assert snapshots.points(tmp_path) == []
    for point in (2, 1):
        for rank in (10, 2, 0):
            snapshots.write(tmp_path, point, snapshot(rank))
    assert snapshots.points(tmp_path) == [1, 2]
    found = snapshots.read(tmp_path, 1)
    assert [each.rank for each in found] == [0, 2, 10]
    for each in found:
        assert torch.equal(each.weights, snapshot(each.rank).weights)
        assert (each.samples, each.seconds, each.epochs) == (320, 1.25, 0.5)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write the snapshot .*rank0000"):
        snapshots.write(tmp_path, 1, snapshot(0))


def test_the_mean_is_of_one_learners_last_snapshots(tmp_path: Path) -> None:
    for point in range(1, 5):
        for rank in (0, 1):
            taken = Snapshot(torch.tensor([10.0**point, rank]), rank, samples=64, seconds=1.0, epochs=0.5)
            snapshots.write(tmp_path, point, taken)
    assert snapshots.mean_of_last(tmp_path, 1, 2).tolist() == [5500.0, 1.0]
    assert snapshots.mean_of_last(tmp_path, 0, 9).tolist() == [2777.5, 0.0]
