"""Tables and figures of simulations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasr.planning import figures
from dasr.planning.simulate import SimulationResult

CURVE = [{"samples": 10.0 * k, "seconds": 1.0 * k, "loss": 2.0 / (1 + k)} for k in range(3)]


def result(strategy: str = "ad", learners: int = 4, **more: Any) -> SimulationResult:
    values: dict[str, Any] = {
        "options": {}, "steps": 100, "local_batch": 16, "cluster": "lab", "seed": 0, "parameters": 43_000_000,
        "seconds": 2.0, "tail_seconds": 0.0, "samples": 1600, "speedup": 3.0, "wait_fraction": 0.25,
        "compute_fraction": 0.7, "mb_sent_per_learner": 1234.5, "messages_per_learner": 7.0,
        "mixes_per_learner": 1.0, "staleness_mean": 0.5, "staleness": {}, "dead": [],
    }  # fmt: skip
    return SimulationResult(strategy, learners=learners, **{**values, **more})


def test_a_table_has_a_row_a_simulation_in_the_units_of_its_header() -> None:
    title, header, _, first, second = figures.table([result(), result("sd", speedup=2.0)]).splitlines()
    assert title == "cluster 'lab', 43 M parameters, 16 samples a learner and step, 100 steps"
    assert "seed" not in header and "ms a step" in header
    assert first.split() == ["ad", "4", "20.00", "3.00", "0.750", "25.0", "1,234", "0.5"]
    assert second.split()[3:5] == ["2.00", "0.500"]


@pytest.mark.parametrize("width", [60, 80])
def test_a_table_fits_the_terminal(width: int) -> None:
    long = result("sc-allreduce", options={"compression": "int8", "momentum": 0.9}, curve=CURVE)
    lines = figures.table([long, result(seed=1, curve=CURVE)], "excess loss", width).splitlines()
    assert max(map(len, lines)) <= width
    assert "excess loss" in "\n".join(lines) and "seed" in "\n".join(lines)
    assert any("-compression=int8" in line for line in lines)


def test_seeds_and_losses_are_columns_where_there_are_any() -> None:
    rows = figures.table([result(curve=CURVE), result(seed=1, curve=CURVE)], "excess loss").splitlines()
    assert "seed" in rows[1] and rows[1].endswith("excess loss")
    assert rows[3].split()[-1] == "0.6667"


@pytest.mark.parametrize(
    ("results", "shown"),
    [
        ([result(), result(learners=8)], ["speed-up over one learner", "time waiting for others (%)"]),
        ([result(), result("sd")], ["share of the learners' time (%)"]),
        ([result(curve=CURVE)], ["virtual time (s)", "samples seen by all learners"]),
    ],
)
def test_the_figure_fits_what_was_simulated(
    results: list[SimulationResult], shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("matplotlib").rcParams, "svg.fonttype", "none")  # text stays text
    figures.draw(results, tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    for label in [*shown, "cluster 'lab'"]:
        assert label in text.replace("&#x27;", "'").replace("&apos;", "'")
    assert [path.name for path in tmp_path.iterdir()] == ["figure.svg"]
