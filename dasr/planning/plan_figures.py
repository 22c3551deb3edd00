"""The figure of a plan: held-out loss against predicted seconds, bytes and samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasr.files import atomic
from dasr.planning.target import Target
from dasr.planning.trials import Outcome
from dasr.results import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EARLY = 1 / 4  # of the training: what a curve does before may leave the picture at the top


def draw(outcomes: Sequence[Outcome], target: Target, path: Path) -> None:
    """SVG or PNG, written atomically. A line is the mean over seeds, the band their range; marks and dashes
    tell lines apart without colour."""
    from matplotlib.figure import Figure

    groups: dict[tuple[str, int, int], list[Outcome]] = {}
    shown = [one for one in outcomes if len(one.loss) > 1]
    for one in shown:
        groups.setdefault((one.run.label, one.run.learners, one.run.batch), []).append(one)
    with palette.style():
        figure = Figure(figsize=(11.0, 4.4))
        panels = figure.subplots(1, 3, sharey=True)
        looks = palette.looks([(label, members[0].run.strategy) for (label, _, _), members in groups.items()])
        lines: dict[str, Any] = {}
        for number, ((label, learners, _), members) in enumerate(groups.items()):
            name = (
                label if len({key[1:] for key in groups if key[0] == label}) == 1 else f"{label} L={learners}"
            )
            lines[name] = _group(panels, members, looks[label], number)
        for axis, what in zip(
            panels, ("predicted seconds", "MB sent by each learner", "samples, all learners"), strict=True
        ):
            axis.axhline(target.bound, color="#444444", linewidth=1, linestyle=(0, (6, 2)))
            axis.set_xlabel(what)
        begin = [(one.seconds[1], one.mb_sent * one.samples[1] / one.samples[-1]) for one in shown]
        for axis, first in zip(panels, zip(*begin, strict=True), strict=False):
            if any(first):  # where nobody sends there is nothing to draw
                axis.set_xscale("log")
                axis.set_xlim(left=min(place for place in first if place))
        panels[0].set_ylabel("held-out cross-entropy (nats/frame)")
        panels[0].set_ylim(*_range(groups.values(), target))
        panels[0].annotate(
            f" {target}", (0, target.bound), xycoords=("axes fraction", "data"), va="bottom", fontsize=8
        )
        if lines:
            figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=min(6, len(lines)))
        with atomic(path) as temporary:
            figure.savefig(
                temporary,
                format=path.suffix.lstrip("."),
                metadata={"Date": None} if path.suffix == ".svg" else None,
            )


def _group(panels: Sequence[Axes], members: Sequence[Outcome], look: palette.Look, number: int) -> Any:
    length = min(len(one.loss) for one in members)
    loss = np.array([one.loss[:length] for one in members])
    samples = np.array([one.samples[:length] for one in members])
    totals = np.array([[one.samples[-1], one.mb_sent] for one in members])
    places = [
        np.array([one.seconds[:length] for one in members]).mean(0),
        (samples * (totals[:, 1] / totals[:, 0])[:, None]).mean(0),
        samples.mean(0),
    ]
    style: Any = {"color": look.colour, "linestyle": look.style, "marker": look.marker}
    for axis, x in zip(panels, places, strict=True):
        if len(members) > 1:
            axis.fill_between(x, loss.min(0), loss.max(0), color=look.colour, alpha=0.15, linewidth=0)
        line = axis.plot(x, loss.mean(0), markevery=(number % 4, 4), **style)[0]
    return line


def _range(groups: Any, target: Target) -> tuple[float, float]:
    late = [
        loss
        for members in groups
        for one in members
        for samples, loss in zip(one.samples, one.loss, strict=True)
        if samples >= EARLY * one.samples[-1]
    ]
    low, high = min([*late, target.bound]), max([*late, target.bound])
    margin = 0.06 * (high - low) or 0.1
    return low - margin, high + margin
