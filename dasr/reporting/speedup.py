"""Predicted speed-up of each strategy, from the simulator, beside what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dasr.results import palette
from dasr.results.layout import Layout
from dasr.results.palette import Group
from dasr.results.records import Record, finite, read_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def speedup(all_groups: list[Group], results: Path) -> Figure | None:
    """Throughput over one learner's against the number of learners. None where nothing was simulated."""
    from matplotlib.figure import Figure

    predicted = _predicted(results)
    if not predicted:
        return None
    figure = Figure(figsize=(7.6, 4.8))
    axis = figure.subplots()
    look = palette.plot_styles(all_groups)
    largest = max(learners for points in predicted.values() for learners, _ in points)
    axis.plot([1, largest], [1, largest], color="#999999", linewidth=1, linestyle=":", label="ideal")
    spare = iter(palette.SPARE * 4)
    for label, points in predicted.items():
        colour = (
            look[label].colour
            if label in look
            else palette.COLOURS.get(label.split("-mixing")[0]) or next(spare)
        )
        axis.plot(*zip(*sorted(points), strict=True), color=colour, label=label)
    for group in all_groups:
        points = _measured(group, all_groups)
        if points and group.strategy != "single":
            axis.plot(
                *zip(*points, strict=True), "o", color=look[group.label].colour, markeredgecolor="black"
            )
    axis.plot([], [], "o", color="white", markeredgecolor="black", label="measured")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter("{x:g}")
    axis.set_xlabel("learners")
    axis.set_ylabel("speed-up over one learner")
    figure.legend(loc="outside right upper")
    return figure


def _predicted(results: Path) -> dict[str, list[tuple[float, float]]]:
    """strategy -> (learners, speed-up), from the summaries in R/simulation/*.jsonl."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(Layout(results).simulation.glob("*.jsonl")):
        for record in read_lines(path, []):
            if "speedup" in record and "learners" in record:
                found.setdefault(_label(record), []).extend(finite([(record["learners"], record["speedup"])]))
    return found


def _label(record: Record) -> str:
    return str(record.get("label", record["strategy"]))


def _measured(group: Group, all_groups: list[Group]) -> list[tuple[float, float]]:
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
