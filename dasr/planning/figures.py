"""Figures of simulations: speed-up over learners, where time goes, convergence over samples and time. Their
table for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasr import columns
from dasr.files import atomic
from dasr.planning.simulate import SimulationResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# That a narrow terminal shows first
DEAR = ("learners", "seed", "speed-up", "ms a step", "waiting %", "efficiency")


def rows(results: Sequence[SimulationResult], loss: str = "loss") -> list[dict[str, str]]:
    """A row a simulation, with the consensus model's last loss where something was trained."""
    found = []
    for each in results:
        row = {"strategy": each.label, "learners": str(each.learners)}
        row |= {"seed": str(each.seed)} if len({result.seed for result in results}) > 1 else {}
        row |= {
            "ms a step": f"{1e3 * each.step_seconds:,.2f}",
            "speed-up": f"{each.speedup:,.2f}",
            "efficiency": f"{each.efficiency:.3f}",
            "waiting %": f"{100 * each.wait_fraction:.1f}",
            "MB sent a learner": f"{each.mb_sent_per_learner:,.0f}",
            "staleness": f"{each.staleness_mean:.1f}",
        }
        row |= {loss: f"{each.curve[-1]['loss']:.4g}"} if each.curve else {}
        found.append(row)
    return found


def table(results: Sequence[SimulationResult], loss: str = "loss", width: int | None = None) -> str:
    """The rows below a line that says what was simulated, in lines of `width`; None: all columns."""
    body = rows(results, loss)
    title = f"{_title(results[0])}, {results[0].steps:,} steps"
    lines = [title] if width is None else textwrap.wrap(title, width, break_on_hyphens=False)
    text = columns.text({name: name for name in body[0]}, body, (*DEAR[:2], loss, *DEAR[2:]), width)
    return "\n".join([*lines, text])


def draw(results: Sequence[SimulationResult], path: Path, loss: str = "loss") -> None:
    """The figure that fits what was simulated, as SVG or PNG by the name of `path`, written atomically."""
    from matplotlib.figure import Figure

    from dasr.results import palette

    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    labels = list(dict.fromkeys(result.label for result in results))
    spare = iter(palette.SPARE * (1 + len(labels)))
    colours = {label: palette.COLOURS.get(label) or next(spare) for label in labels}
    if any(result.curve for result in results):
        _convergence(figure, results, colours, loss)
    elif len({result.learners for result in results}) > 1:
        _speedup(figure, results, colours)
    else:
        _time(figure, results)
    with atomic(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "svg", dpi=160)


def _speedup(figure: Figure, results: Sequence[SimulationResult], colours: dict[str, str]) -> None:
    left, right = figure.subplots(1, 2)
    most = max(result.learners for result in results)
    left.plot([1, most], [1, most], color="#999999", linewidth=1, linestyle=":", label="ideal")
    for label, colour in colours.items():
        mine = sorted((r for r in results if r.label == label), key=lambda r: r.learners)
        learners = [r.learners for r in mine]
        left.plot(learners, [r.speedup for r in mine], color=colour, marker=".", label=label)
        right.plot(learners, [100 * r.wait_fraction for r in mine], color=colour, marker=".")
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("learners")
    left.set_yscale("log", base=2)
    left.yaxis.set_major_formatter("{x:g}")
    left.set_ylabel("speed-up over one learner")
    right.set_ylabel("time waiting for others (%)")
    right.set_ylim(0, 100)
    figure.suptitle(_title(results[0]))
    figure.legend(loc="outside right upper", fontsize=8)


def _time(figure: Figure, results: Sequence[SimulationResult]) -> None:
    axis = figure.subplots()
    names = [result.label for result in results]
    computing = [100 * result.compute_fraction for result in results]
    waiting = [100 * result.wait_fraction for result in results]
    axis.barh(names, computing, color="#0072b2", label="computing")
    axis.barh(names, waiting, left=computing, color="#d55e00", label="waiting for others")
    for row, result in enumerate(results):
        axis.text(
            101,
            row,
            f"{result.speedup:.1f}x, {result.mb_sent_per_learner / result.steps:.0f} MB a step",
            va="center",
        )
    axis.set_xlim(0, 130)
    axis.set_xlabel("share of the learners' time (%)")
    axis.set_title(f"{results[0].learners} learners, {_title(results[0])}")
    figure.legend(loc="outside right upper", fontsize=8)


def _convergence(
    figure: Figure, results: Sequence[SimulationResult], colours: dict[str, str], loss: str
) -> None:
    left, right = figure.subplots(1, 2, sharey=True)
    for number, result in enumerate(results):
        line: dict[str, Any] = {"color": colours[result.label], "alpha": 0.8}
        first = all(result.label != other.label for other in results[:number])
        heights = [point["loss"] for point in result.curve]
        left.plot(
            [p["samples"] for p in result.curve], heights, label=result.label if first else None, **line
        )
        right.plot([p["seconds"] for p in result.curve], heights, **line)
    left.set_xlabel("samples seen by all learners")
    right.set_xlabel("virtual time (s)")
    left.set_ylabel(f"{loss}, consensus model")
    left.set_yscale("log")
    figure.suptitle(f"{results[0].learners} learners, {_title(results[0])}")
    figure.legend(loc="outside right upper", fontsize=8)


def _title(result: SimulationResult) -> str:
    millions = result.parameters / 1e6
    size = f"{millions:.0f} M" if millions >= 1 else f"{result.parameters:,}"
    return f"cluster '{result.cluster}', {size} parameters, {result.local_batch} samples a learner and step"
