"""Figures of what each strategy cost, read back from the drawn bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasr import config as dasr_config
from dasr.reporting import costs, curves, speedup
from dasr.results import palette
from dasr.results.palette import Group
from dasr.results.records import RunRecord


def group_of(
    strategy: str, summary: dict[str, Any], learners: list[dict[str, Any]] | None = None
) -> list[Group]:
    config = dasr_config.complete({"comparison": {"strategies": [strategy], "learners": [2], "seeds": [0]}})
    (run,) = dasr_config.runs(config)
    return palette.groups([RunRecord(run, Path(), summary, learners or [], [], [], {})])


def test_nothing_is_drawn_of_what_no_run_has() -> None:
    bare = group_of("ad", {})
    for figure in (
        costs.word_errors,
        costs.time_and_errors,
        costs.time_use,
        costs.bytes_sent,
        costs.staleness,
    ):
        assert figure(bare) is None
    assert curves.heldout(bare, "epochs") is None
    assert speedup.speedup(bare, Path("nowhere")) is None


def test_bytes_are_a_bar_as_long_as_what_a_learner_sent() -> None:
    figure = costs.bytes_sent(group_of("ad", {"mb_sent_per_learner": 12.5}))
    assert figure is not None
    axis: Any = figure.axes[0]
    assert [bar.get_width() for bar in axis.patches] == [12.5]
    assert " 12.5 MB" in [text.get_text() for text in axis.texts]


def test_staleness_is_in_per_cent_and_the_oldest_gradients_share_a_bar() -> None:
    learners = [{"staleness": {"0": 2, "1": 1}}, {"staleness": {"25": 1, "40": 1}}]
    figure = costs.staleness(group_of("ad", {}, learners))
    assert figure is not None
    bars: list[Any] = list(figure.axes[0].patches)
    heights = [bar.get_height() for bar in bars]
    assert heights[:2] == pytest.approx([40, 20]) and heights[costs.OLDEST] == pytest.approx(40)
    assert "mean 13.20" in figure.axes[0].get_title(loc="left")


def test_gradients_that_are_never_stale_are_not_drawn() -> None:
    assert costs.staleness(group_of("sd", {}, [{"staleness": {"0": 9}}])) is None
