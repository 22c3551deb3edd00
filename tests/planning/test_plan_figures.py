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


@pytest.mark.slow  # it draws: matplotlib
def test_of_several_numbers_of_learners_loss_and_time_are_drawn_over_them(tmp_path: Path) -> None:
    found = [
        Outcome(
            Run("sd", (), learners, 8 * learners, 0, (("rate_rule", rule),)), "c", [0.0, 9.0],
            [4.0, 1 + worse * learners / 64], [0.0, 90.0 / learners], 1.0, 0.0, 0.0,
        )
        for learners in (1, 4, 16, 64)
        for rule, worse in (("none", 0.3), ("sqrt", 0.2), ("linear", 0.6))
    ]  # fmt: skip
    plan_figures.draw_scaling(found, Target(1.5), tmp_path / "scaling.svg")
    text = (tmp_path / "scaling.svg").read_text()
    assert all(f"<!-- rate_rule {rule} -->" in text for rule in ("none", "sqrt", "linear"))
    assert "<!-- learners -->" in text
