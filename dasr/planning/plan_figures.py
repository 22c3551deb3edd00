"""The figure of a plan: held-out loss against predicted seconds, bytes and samples; of several numbers of
learners, loss and time to the target against them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasr.files import atomic
from dasr.planning import scaling
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
        styles = palette.styles_of(
            [(label, members[0].run.strategy) for (label, _, _), members in groups.items()]
        )
        lines: dict[str, Any] = {}
        for number, ((label, learners, _), members) in enumerate(groups.items()):
            name = (
                label if len({key[1:] for key in groups if key[0] == label}) == 1 else f"{label} L={learners}"
            )
            lines[name] = _group(panels, members, styles[label], number)
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


def draw_scaling(outcomes: Sequence[Outcome], target: Target, path: Path) -> None:
    """A column a strategy, a line for each choice of settings; above the last loss, below the time to the
    target. What is not finite is not drawn. SVG or PNG, written atomically."""
    from matplotlib.figure import Figure

    strategies = scaling.lines(outcomes)
    with palette.style():
        figure = Figure(figsize=(1.5 + 3.6 * len(strategies), 6.4))
        axes = figure.subplots(2, len(strategies), squeeze=False, sharex=True, sharey="row")
        keys: dict[str, Any] = {}
        styles: dict[str, Any] = {}
        for column, (strategy, choices) in enumerate(strategies.items()):
            axes[0, column].set_title(strategy)
            for line in choices:
                style = styles.setdefault(line.settings, _style(len(styles)))
                counts = list(line.points)
                drawn = axes[0, column].plot(counts, [line.loss(n) for n in counts], **style)[0]
                axes[1, column].plot(counts, [line.seconds(n, target) for n in counts], **style)
                keys.setdefault(line.settings, drawn)
            axes[1, column].set_xscale("log", base=2)
            axes[1, column].xaxis.set_major_formatter("{x:g}")
            axes[1, column].set_xlabel("learners")
            axes[1, column].set_yscale("log")
        axes[0, 0].set_ylabel("last held-out loss (nats/frame)")
        axes[1, 0].set_ylabel(f"predicted seconds to {target}")
        figure.legend(keys.values(), keys.keys(), loc="outside lower center", ncols=3)
        with atomic(path) as temporary:
            figure.savefig(temporary, format=path.suffix.lstrip("."))


def _style(number: int) -> dict[str, Any]:
    """Of the lines of a picture, by their number."""
    return {
        "linestyle": palette.STYLES[number % len(palette.STYLES)],
        "marker": palette.MARKERS[number % len(palette.MARKERS)],
        "color": palette.SPARE[number % len(palette.SPARE)],
        "fillstyle": "none",  # lines that coincide are seen through one another
    }


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
