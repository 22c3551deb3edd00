"""The figure of a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from dasr.config import Run
from dasr.planning import plan_figures
from dasr.planning.target import Target
from dasr.planning.trials import Outcome


@pytest.mark.slow  # it draws: matplotlib
def test_every_strategy_with_a_curve_is_in_the_picture_and_the_target_too(tmp_path: Path) -> None:
    def outcome(strategy: str, sent: float, loss: list[float]) -> Outcome:
        steps = [100.0 * n for n in range(len(loss))]
        return Outcome(Run(strategy, (), 2, 4, 0), "c", steps, loss, [n / 50 for n in steps], sent, 0, 0)

    found = [outcome("single", 0.0, [4, 2, 1]), outcome("ad", 80.0, [4, 3, 2]), outcome("sd", 9.0, [])]
    plan_figures.draw(found, Target(1.5), tmp_path / "plan.svg")
    text = (tmp_path / "plan.svg").read_text()
    assert "<!-- single -->" in text and "<!-- ad -->" in text and "<!-- sd -->" not in text
    assert "ce &lt;= 1.5" in text or "ce <= 1.5" in text
