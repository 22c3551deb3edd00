"""Predicted speed-up and efficiency of each strategy, from the simulator, beside what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasr.errors import UserError
from dasr.results import palette
from dasr.results.layout import Layout
from dasr.results.palette import Group
from dasr.results.records import Record, finite, read_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = list[tuple[float, float]]


def speedup(all_groups: list[Group], results: Path) -> Figure | None:
    """Against the number of learners: throughput over one learner's, and that over the learners.

    Only the strategies compared; None where none was simulated."""
    from matplotlib.figure import Figure

    styles = palette.plot_styles(all_groups)
    predicted = {label: points for label, points in _predicted(results).items() if label in styles}
    if not predicted:
        return None
    figure = Figure(figsize=(7.6, 4.4))
    left, right = figure.subplots(1, 2)
    largest = max(learners for points in predicted.values() for learners, _ in points)
    _ideal(left, [(1, 1), (largest, largest)])
    _ideal(right, [(1, 1), (largest, 1)])
    lines: dict[str, Any] = {}
    for label, points in predicted.items():
        look = styles[label]
        style = {"color": look.colour, "linestyle": look.style, "marker": look.marker}
        lines[label] = left.plot(*zip(*sorted(points), strict=True), label=label, **style)[0]
        right.plot(*zip(*_efficiency(sorted(points)), strict=True), **style)
    measured: Any = {"color": "white", "markeredgecolor": "black", "markersize": 8}
    for group in all_groups:
        points = _measured(group, all_groups)
        if points and group.strategy != "single":
            look = styles[group.label]
            given = measured | {"color": look.colour}
            left.plot(*zip(*points, strict=True), look.marker, **given)
            right.plot(*zip(*_efficiency(points), strict=True), look.marker, **given)
    lines["measured here (edged)"] = left.plot([], [], "o", **measured)[0]
    _scale(left, right)
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=min(4, len(lines)))
    return figure


def _ideal(axis: Axes, points: Points) -> None:
    axis.plot(*zip(*points, strict=True), color="#999999", linewidth=1, linestyle=":", label="ideal")


def _scale(left: Axes, right: Axes) -> None:
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("learners")
    left.set_yscale("log", base=2)
    left.yaxis.set_major_formatter("{x:g}")
    left.set_ylabel("speed-up over one learner")
    right.set_ylim(0, 1.08)
    right.set_ylabel("efficiency (speed-up / learners)")


def _efficiency(points: Points) -> Points:
    return [(learners, speed / learners) for learners, speed in points]


def _predicted(results: Path) -> dict[str, Points]:
    """strategy -> (learners, speed-up), from the summaries in R/simulation/*.jsonl."""
    found: dict[str, Points] = {}
    for path in sorted(Layout(results).simulation.glob("*.jsonl")):
        records = read_lines(path)
        if not records:
            raise UserError(f"{path} is empty: remove it and run `dasr simulate` again")
        for record in records:
            if "speedup" in record and "learners" in record:
                found.setdefault(_label(record), []).extend(finite([(record["learners"], record["speedup"])]))
    return found


def _label(record: Record) -> str:
    return str(record.get("label", record["strategy"]))


def _measured(group: Group, all_groups: list[Group]) -> Points:
    """(learners, speed-up) of each seed, over `single` of the same batch and seed."""
    alone = {
        (one.batch, record.run.seed): record.summary.get("frames_per_s")
        for one in all_groups
        if one.strategy == "single"
        for record in one.records
    }
    return [
        (group.learners, record.summary["frames_per_s"] / reference)
        for record in group.records
        if "frames_per_s" in record.summary and (reference := alone.get((group.batch, record.run.seed)))
    ]
