"""Predicted and measured speed-up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dasr import config as dasr_config
from dasr.reporting import speedup
from dasr.results import palette
from dasr.results.records import RunRecord


def test_predictions_are_lines_and_measurements_points_over_one_learner(tmp_path: Path) -> None:
    (tmp_path / "simulation").mkdir()
    rows = [{"strategy": "ad", "learners": n, "speedup": 0.9 * n} for n in (16, 1, 4)]
    (tmp_path / "simulation" / "ad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = dasr_config.complete(
        {"comparison": {"strategies": ["single", "ad"], "learners": [4], "seeds": [0]}}
    )
    frames_per_s = {"single": 100.0, "ad": 350.0}
    groups = palette.groups(
        [
            RunRecord(run, Path(), {"frames_per_s": frames_per_s[run.strategy]}, [], [], [], {})
            for run in dasr_config.runs(config)
        ]
    )
    figure = speedup.speedup(groups, tmp_path)
    assert figure is not None
    lines: dict[str, Any] = {str(line.get_label()): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(lines["ideal"].get_xydata(), [[1, 1], [16, 16]])
    np.testing.assert_allclose(lines["ad"].get_xydata(), [[1, 0.9], [4, 3.6], [16, 14.4]])
    dots: list[Any] = [line for line in figure.axes[0].lines if line.get_markeredgecolor() == "black"]
    assert [line.get_xydata().tolist() for line in dots if len(line.get_xydata())] == [[[4, 3.5]]]
    right: list[Any] = list(figure.axes[1].lines)
    efficiency = [line.get_xydata().tolist() for line in right]
    assert [[1, 0.9], [4, 0.9], [16, 0.9]] in np.round(efficiency[1:2], 9).tolist()
    assert [4, 3.5 / 4] in efficiency[2]


def test_every_line_has_a_dash_and_a_marker_of_its_own_and_others_strategies_are_not_drawn(
    tmp_path: Path,
) -> None:
    (tmp_path / "simulation").mkdir()
    names = ["ad", "sd", "bmuf", "easgd"]
    rows = [{"strategy": name, "learners": n, "speedup": 0.9 * n} for name in names for n in (1, 4)]
    (tmp_path / "simulation" / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = dasr_config.complete({"comparison": {"strategies": names[:3], "learners": [4], "seeds": [0]}})
    records = [RunRecord(run, Path(), {}, [], [], [], {}) for run in dasr_config.runs(config)]
    figure = speedup.speedup(palette.groups(records), tmp_path)
    assert figure is not None
    drawn = {line.get_label(): line for line in figure.axes[0].lines if line.get_label() in names}
    assert set(drawn) == set(names[:3])
    assert len({line.get_linestyle() for line in drawn.values()}) == 3
    assert len({str(line.get_marker()) for line in drawn.values()}) == 3
