"""One look for all figures: a strategy has the same colour everywhere, and in every report.

Colour-blind readers can tell the colours apart (Okabe & Ito 2008; Tol's bright and muted sets for the
rest); variants of one strategy share its colour. Line style and marker are a label's own, so that figures
can be read without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dasr.results.records import RunRecord

COLOURS = {
    "single": "#4d4d4d",
    "sc-allreduce": "#0072b2",
    "sd": "#009e73",
    "ad": "#d55e00",
    "bmuf": "#cc79a7",
    "delay-by-one": "#e69f00",
    "h-ad": "#882255",
    "sc-ps": "#56b4e9",
    "ac-ps": "#117733",
    "local": "#aa4499",
    "easgd": "#999933",
    "slowmo": "#332288",
    "sgp": "#44aa99",
    "gossip-pga": "#ddaa33",
    "diloco": "#a65628",
}
SPARE = ("#66a61e", "#7570b3", "#e7298a", "#1b9e77", "#666666")  # strategies that users add
STYLES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "s", "^", "D", "v", "P")

RC = {
    "figure.dpi": 100, "savefig.dpi": 160, "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e3e3e3",
    "grid.linewidth": 0.8, "axes.axisbelow": True, "axes.edgecolor": "#777777", "legend.frameon": False,
    "lines.linewidth": 1.8, "lines.markersize": 4.5, "svg.hashsalt": "dasr",
    "figure.constrained_layout.use": True, "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.08,
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed only."""

    label: str
    learners: int
    batch: int
    records: tuple[RunRecord, ...]

    @property
    def strategy(self) -> str:
        return self.records[0].run.strategy


@dataclass(frozen=True)
class Look:
    colour: str
    style: str | tuple[int, tuple[int, ...]]
    marker: str


def groups(records: list[RunRecord]) -> list[Group]:
    """Runs grouped over seeds, in the order of the config."""
    found: dict[tuple[str, int, int], list[RunRecord]] = {}
    for record in records:
        found.setdefault((record.run.label, record.run.learners, record.run.batch), []).append(record)
    return [Group(*key, tuple(members)) for key, members in found.items()]


def plot_styles(all_groups: list[Group]) -> dict[str, Look]:
    """How each label is drawn."""
    return styles_of([(group.label, group.strategy) for group in all_groups])


def styles_of(labels: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """How each label is drawn. `labels`: (label, strategy), in the order of the config."""
    found: dict[str, Look] = {}
    unknown: dict[str, str] = {}
    for label, strategy in labels:
        if label in found:
            continue
        if strategy not in COLOURS:
            unknown.setdefault(strategy, SPARE[len(unknown) % len(SPARE)])
        number = len(found)
        colour = COLOURS.get(strategy) or unknown[strategy]
        marker = MARKERS[(number + number // len(MARKERS)) % len(MARKERS)]
        found[label] = Look(colour, STYLES[number % len(STYLES)], marker)
    return found


def sizes(all_groups: list[Group]) -> list[tuple[int, int]]:
    """The (learners, batch) pairs of the comparison; `single` alone does not make one where others exist."""
    several = [group for group in all_groups if group.strategy != "single"] or all_groups
    return list(dict.fromkeys((group.learners, group.batch) for group in several))


def of_size(all_groups: list[Group], learners: int, batch: int) -> list[Group]:
    """Groups of that size, and `single` of that batch, which is everybody's reference."""
    return [
        group
        for group in all_groups
        if group.batch == batch and (group.learners == learners or group.strategy == "single")
    ]


def row_label(group: Group, all_groups: list[Group]) -> str:
    """A group's name on an axis: its label, with its size where sizes differ."""
    if len(sizes(all_groups)) == 1:
        return group.label
    return f"{group.label}\nL={group.learners}, B={group.batch}"


@contextmanager
def style() -> Iterator[None]:
    """Context manager: figures drawn inside have the fonts, sizes and colours of all others."""
    import matplotlib

    with matplotlib.rc_context(RC):
        yield


def time_unit(longest_s: float) -> tuple[float, str]:
    """Seconds in a unit that suits, and its name."""
    if longest_s > 3 * 3600:
        return 3600.0, "h"
    return (60.0, "min") if longest_s > 600 else (1.0, "s")
