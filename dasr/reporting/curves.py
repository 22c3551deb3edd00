"""How the consensus model learned: held-out loss against epochs and against training time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasr.results import palette
from dasr.results.palette import Group, Look
from dasr.results.records import RunRecord, finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EARLY = 1 / 4  # of the budget: what the curves did before then may leave the picture at the top


def heldout(all_groups: list[Group], against: str) -> Figure | None:
    """Held-out cross-entropy, nats a frame, against "epochs" or "seconds". None where nothing was evaluated.

    A line is the mean over seeds, the band their range; a panel for each (learners, batch)."""
    from matplotlib.figure import Figure

    shown = [group for group in all_groups if any(_points(record, against) for record in group.records)]
    if not shown:
        return None
    panels = palette.sizes(shown)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(7.6 if columns == 1 else 4.3 * columns, 4.4 if rows == 1 else 3.4 * rows))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    look = palette.plot_styles(all_groups)
    longest = max(_points(r, "seconds")[-1][0] for g in shown for r in g.records if _points(r, "seconds"))
    factor, unit = palette.time_unit(longest) if against == "seconds" else (1.0, "")
    labels: dict[str, Any] = {}
    for axis, (learners, batch) in zip(axes, panels, strict=False):
        for group in palette.of_size(shown, learners, batch):
            labels.setdefault(group.label, _draw(axis, group, against, factor, look[group.label]))
        axis.set_title(f"{learners} learners, batch {batch}" if len(panels) > 1 else "")
        axis.set_xlabel(
            "epochs (all learners together)" if against == "epochs" else f"training time ({unit})"
        )
        axis.set_xlim(left=0)
    for axis in list(axes)[len(panels) :]:
        axis.set_visible(False)
    first = figure.axes[0]
    first.set_ylim(*_range(shown))
    for axis in figure.axes[::columns]:
        axis.set_ylabel("held-out cross-entropy (nats/frame)")
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=min(6, len(labels)))
    return figure


def _points(record: RunRecord, against: str) -> list[tuple[float, float]]:
    return finite((point[against], point["ce"]) for point in record.heldout)


def _draw(axis: Axes, group: Group, against: str, factor: float, look: Look) -> Any:
    """Mean and range over seeds, on the points of the seed that has the fewest."""
    curves = [points for record in group.records if (points := _points(record, against))]
    length = min((len(points) for points in curves), default=0)
    if not length:
        return axis.plot([], [], color=look.colour, linestyle=look.style)[0]
    x = np.array([[point[0] for point in points[:length]] for points in curves]).mean(0) / factor
    y = np.array([[point[1] for point in points[:length]] for points in curves])
    if len(curves) > 1:
        axis.fill_between(x, y.min(0), y.max(0), color=look.colour, alpha=0.18, linewidth=0)
    return axis.plot(x, y.mean(0), color=look.colour, linestyle=look.style, marker=look.marker)[0]


def _range(shown: list[Group]) -> tuple[float, float]:
    """From below the best loss to the worst that any run had after its first quarter."""
    low, high = [], []
    for group in shown:
        for record in group.records:
            points = _points(record, "samples")
            if points:
                late = [loss for samples, loss in points if samples >= EARLY * points[-1][0]]
                low.append(min(late))
                high.append(max(late))
    margin = 0.04 * (max(high) - min(low)) or 0.1
    return min(low) - margin, max(high) + margin
