"""What each strategy cost, and what it gave: WER, time, bytes, staleness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasr.results import palette
from dasr.results.palette import Group
from dasr.results.records import time_split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LM_NAMES = {"unigram": "unigram LM", "ngram": "n-gram LM"}
SPLIT_COLOURS = {"compute": "#5b7083", "wait": "#e9a03b", "other": "#d4d4d4"}
SPLIT_NAMES = {
    "compute": "computing gradients",
    "wait": "waiting for others",
    "other": "updates, mixing, data",
}
OLDEST = 20  # staleness beyond it is drawn as one bar


def _rows(count: int, height: float = 0.46) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 1.3 + height * max(count, 2)))
    return figure, figure.subplots()


def _name_rows(axis: Axes, shown: list[Group], all_groups: list[Group]) -> None:
    axis.set_yticks(range(len(shown)), [palette.row_label(group, all_groups) for group in shown])
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)


def word_errors(all_groups: list[Group]) -> Figure | None:
    """Test WER with 95 % intervals, one mark a seed; filled: unigram LM, open: n-gram LM."""
    shown = [group for group in all_groups if any(record.scores for record in group.records)]
    if not shown:
        return None
    look = palette.plot_styles(all_groups)
    figure, axis = _rows(len(shown), 0.4 + 0.12 * max(len(group.records) for group in shown))
    for row, group in enumerate(shown):
        marks = [
            (lm, record.scores[lm]) for lm in LM_NAMES for record in group.records if lm in record.scores
        ]
        for place, (lm, score) in zip(np.linspace(-0.3, 0.3, len(marks) + 2)[1:-1], marks, strict=True):
            colour = look[group.label].colour
            wer = score["wer"]
            reach = [[max(0.0, wer - score["wer_low"])], [max(0.0, score["wer_high"] - wer)]]
            axis.errorbar(
                wer, row + place, xerr=reach, fmt="o", color=colour, ecolor=colour, elinewidth=1.4, capsize=2,
                markersize=6, markerfacecolor=colour if lm == "unigram" else "white", markeredgewidth=1.5,
            )  # fmt: skip
    _name_rows(axis, shown, all_groups)
    axis.set_xlim(left=0)
    axis.set_xlabel("word error rate on test (%), with 95 % intervals")
    keys = [
        axis.plot([], [], "o", color="#444444", markerfacecolor=face, markeredgewidth=1.5, label=name)[0]
        for face, name in (("#444444", LM_NAMES["unigram"]), ("white", LM_NAMES["ngram"]))
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


def time_and_errors(all_groups: list[Group]) -> Figure | None:
    """Each run's WER (unigram LM, 95 % interval) over its training time: what a strategy buys for what it
    costs."""
    from matplotlib.figure import Figure

    shown = [
        group
        for group in all_groups
        if any("unigram" in record.scores and record.summary for record in group.records)
    ]
    if not shown:
        return None
    look = palette.plot_styles(all_groups)
    figure = Figure(figsize=(7.6, 4.4))
    axis = figure.subplots()
    done = [record for group in shown for record in group.records if record.summary]
    factor, unit = palette.time_unit(max(record.summary["seconds"] for record in done))
    several = len(palette.sizes(all_groups)) > 1
    for group in shown:
        for record in group.records:
            if "unigram" in record.scores and record.summary:
                score = record.scores["unigram"]
                reach = [
                    [max(0.0, score["wer"] - score["wer_low"])],
                    [max(0.0, score["wer_high"] - score["wer"])],
                ]
                place = (record.summary["seconds"] / factor, score["wer"])
                mark = look[group.label]
                axis.errorbar(
                    *place,
                    yerr=reach,
                    capsize=2.5,
                    elinewidth=1.2,
                    fmt=mark.marker,
                    color=mark.colour,
                    markersize=7,
                )
                if several:
                    size = f" L={group.learners}, B={group.batch}"
                    axis.annotate(size, place, xytext=(4, 4), textcoords="offset points", fontsize=7)
    axis.set_xlim(left=0)
    axis.set_ylim(bottom=0)
    axis.set_xlabel(f"training time ({unit})")
    axis.set_ylabel("word error rate on test (%), unigram LM")
    names = dict.fromkeys(group.label for group in shown)
    keys = [
        axis.plot([], [], look[name].marker, color=look[name].colour, label=name, markersize=7)[0]
        for name in names
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=min(6, len(keys)))
    return figure


def time_use(all_groups: list[Group]) -> Figure | None:
    """Training time split into computing, waiting for others, and the rest; mean over learners and seeds."""
    shown = [group for group in all_groups if any(time_split(record) for record in group.records)]
    if not shown:
        return None
    figure, axis = _rows(len(shown))
    totals = [_mean(record.summary.get("seconds") for record in group.records) for group in shown]
    factor, unit = palette.time_unit(max(totals))
    left = np.zeros(len(shown))
    for part, colour in SPLIT_COLOURS.items():
        shares = [_mean(time_split(record).get(part) for record in group.records) for group in shown]
        widths = np.array(shares) * np.array(totals) / factor
        hatch = "///" if part == "wait" else None  # seen without colour
        axis.barh(
            range(len(shown)), widths, 0.62, left, color=colour, label=SPLIT_NAMES[part], hatch=hatch,
            edgecolor="white", linewidth=0,
        )  # fmt: skip
        left += widths
    for row, group in enumerate(shown):
        waiting = _mean(time_split(record).get("wait") for record in group.records)
        axis.annotate(
            f" {left[row]:,.4g} {unit}, {100 * waiting:.1f} % waiting",
            (left[row], row),
            va="center",
            fontsize=9,
        )
    _name_rows(axis, shown, all_groups)
    axis.set_xlim(0, 1.32 * left.max())
    axis.set_xlabel(f"training time of a learner ({unit})")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def bytes_sent(all_groups: list[Group]) -> Figure | None:
    """Megabytes that a learner sent in the whole run, mean over seeds."""
    shown = [group for group in all_groups if any("mb_sent_per_learner" in r.summary for r in group.records)]
    if not shown:
        return None
    look = palette.plot_styles(all_groups)
    figure, axis = _rows(len(shown))
    sent = [_mean(record.summary.get("mb_sent_per_learner") for record in group.records) for group in shown]
    axis.barh(range(len(shown)), sent, 0.62, color=[look[group.label].colour for group in shown])
    for row, one in enumerate(sent):
        digits = ",.0f" if one >= 1000 else ".4g"
        axis.annotate(f" {one:{digits}} MB" if one else " nothing", (one, row), va="center", fontsize=9)
    _name_rows(axis, shown, all_groups)
    axis.set_xlim(0, 1.2 * max(max(sent), 1e-9))
    axis.set_xlabel("sent by each learner in the whole run (MB)")
    return figure


def staleness(all_groups: list[Group]) -> Figure | None:
    """How many updates old the gradients were when they were applied; only strategies where some were."""
    from matplotlib.figure import Figure

    found = [(group, ages) for group in all_groups if max(ages := _ages(group), default=0) > 0]
    if not found:
        return None
    look = palette.plot_styles(all_groups)
    figure = Figure(figsize=(7.6, 0.7 + 1.25 * len(found)))
    axes = figure.subplots(len(found), 1, squeeze=False, sharex=True)[:, 0]
    for axis, (group, ages) in zip(axes, found, strict=True):
        total = sum(ages.values())
        shares = dict.fromkeys(range(OLDEST + 1), 0.0)
        for age, count in ages.items():
            shares[min(age, OLDEST)] += 100 * count / total
        axis.bar(list(shares), list(shares.values()), 0.75, color=look[group.label].colour)
        mean = sum(age * count for age, count in ages.items()) / total
        axis.set_title(
            f"{palette.row_label(group, all_groups)} (mean {mean:.2f})".replace("\n", ", "), loc="left"
        )
        axis.grid(axis="x", visible=False)
        axis.set_ylabel("%")
    axes[-1].set_xlabel(f"staleness of applied gradients (updates; {OLDEST} = {OLDEST} or more)")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def _ages(group: Group) -> dict[int, int]:
    """Staleness -> gradients of all learners and seeds."""
    counts: dict[int, int] = {}
    for record in group.records:
        for learner in record.learners:
            for age, count in learner["staleness"].items():
                counts[int(age)] = counts.get(int(age), 0) + count
    return counts


def _mean(values: Any) -> float:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0
