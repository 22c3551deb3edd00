"""Held-out loss over epochs and over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasr import config as dasr_config
from dasr.reporting import curves
from dasr.results import palette
from dasr.results.palette import Group
from dasr.results.records import RunRecord


def drawn(figure: Any) -> list[list[float]]:
    """x and y of each point of the first line."""
    return [[float(x), float(y)] for x, y in figure.axes[0].lines[0].get_xydata()]


def points(*losses: float) -> list[dict[str, Any]]:
    return [
        {"epochs": k + 1.0, "seconds": 120.0 * k, "samples": 10 * (k + 1), "ce": ce}
        for k, ce in enumerate(losses)
    ]


def groups(*heldout: list[dict[str, Any]]) -> list[Group]:
    seeds = list(range(len(heldout)))
    config = dasr_config.complete({"comparison": {"strategies": ["ad"], "learners": [2], "seeds": seeds}})
    runs = zip(dasr_config.runs(config), heldout, strict=True)
    return palette.groups([RunRecord(run, Path(), {}, [], [], its, {}) for run, its in runs])


def test_a_line_is_the_mean_over_seeds_as_far_as_all_of_them_go() -> None:
    figure = curves.heldout(groups(points(3.0, 2.0, 1.0), points(5.0, 3.0)), "epochs")
    assert figure is not None
    assert drawn(figure) == [[1, 4], [2, 2.5]]


def test_early_losses_may_leave_the_picture_and_late_ones_may_not() -> None:
    figure = curves.heldout(groups(points(90.0, 2.0, 1.5, 1.0, 1.1, 1.2, 1.0, 1.0)), "seconds")
    assert figure is not None
    low, high = figure.axes[0].get_ylim()
    assert low < 1.0 and 2.0 < high < 3.0


def test_a_loss_that_is_no_number_leaves_a_gap_and_not_an_error() -> None:
    figure = curves.heldout(groups(points(3.0, float("nan"), 1.0)), "epochs")
    assert figure is not None
    assert drawn(figure) == [[1, 3], [3, 1]]


@pytest.mark.parametrize("against", ["epochs", "seconds"])
def test_a_run_without_points_gives_no_figure(against: str) -> None:
    assert curves.heldout(groups([]), against) is None
