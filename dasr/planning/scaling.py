"""How each strategy's loss changes as learners are added, and with which settings it is lowest.

Settings are what entries of one strategy set of `training` (rate rule, warm-up). Those that seeds do not tell
from the best at a number of learners (Student's t, pooled, corrected by Holm) are named with it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dasr.config import Run
from dasr.planning.target import Target
from dasr.planning.trials import Outcome
from dasr.results.significance import SIGNIFICANT, holm, student


@dataclass(frozen=True)
class Line:
    """One strategy with one choice of settings."""

    strategy: str  # with its options
    settings: str
    points: dict[int, tuple[Outcome, ...]]  # by the number of learners: the seeds

    def losses(self, learners: int) -> list[float]:
        """The last of each seed; infinite where a training failed."""
        return [one.loss[-1] if one.loss else math.inf for one in self.points[learners]]

    def loss(self, learners: int) -> float:
        return statistics.fmean(self.losses(learners))

    def seconds(self, learners: int, target: Target) -> float:
        """To the target, mean over seeds; infinite where one does not reach it."""
        found = [target.reached(one.loss, one.seconds) for one in self.points[learners]]
        return statistics.fmean(math.inf if each is None else each for each in found)


def lines(outcomes: Sequence[Outcome]) -> dict[str, list[Line]]:
    """By strategy. `single` has one learner and is left out."""
    found: dict[str, dict[str, dict[int, list[Outcome]]]] = {}
    for one in outcomes:
        if one.run.strategy != "single":
            strategy, settings = named(one.run)
            places = found.setdefault(strategy, {}).setdefault(settings, {})
            places.setdefault(one.run.learners, []).append(one)
    return {
        strategy: [
            Line(strategy, settings, {learners: tuple(some) for learners, some in sorted(points.items())})
            for settings, points in choices.items()
        ]
        for strategy, choices in found.items()
    }


def named(run: Run) -> tuple[str, str]:
    """The strategy with its options; its settings in words."""
    strategy = run.strategy + "".join(f"-{key}={value}" for key, value in run.options)
    return strategy, ", ".join(f"{key} {value}" for key, value in run.training) or "as configured"


def sentences(outcomes: Sequence[Outcome]) -> list[str]:
    """One for each strategy that was trained with several numbers of learners."""
    said = []
    for strategy, choices in lines(outcomes).items():
        counts = sorted({learners for line in choices for learners in line.points})
        if len(counts) > 1:
            ends = [min(line.loss(count) for line in choices if count in line.points) for count in counts]
            said.append(
                f"{strategy}: loss {_number(ends[0])} with {_learners(counts[0])}, {_number(ends[-1])} with "
                f"{counts[-1]}; best with {_settings(choices, counts)}."
            )
    return said


def _settings(choices: Sequence[Line], counts: Sequence[int]) -> str:
    """The best settings, neighbouring numbers of learners together."""
    spans: list[tuple[str, int, int]] = []
    for count in counts:
        best = " or ".join(best_settings(choices, count))
        if spans and spans[-1][0] == best:
            spans[-1] = best, spans[-1][1], count
        else:
            spans.append((best, count, count))
    return "; ".join(
        f"{settings} ({_learners(first) if first == last else f'{first} to {last} learners'})"
        for settings, first, last in spans
    )


def best_settings(choices: Sequence[Line], learners: int) -> list[str]:
    """The lowest mean first, then those that are not shown to be worse."""
    able = [line for line in choices if learners in line.points and line.loss(learners) < math.inf]
    if not able:
        return ["nothing that was tried"]
    ranked = sorted(able, key=lambda line: line.loss(learners))
    values = [line.losses(learners) for line in ranked]
    degrees = sum(len(each) - 1 for each in values)
    if not degrees or len(ranked) == 1:
        return [ranked[0].settings]
    squares = sum(sum((value - statistics.fmean(each)) ** 2 for value in each) for each in values)
    spread = math.sqrt(squares / degrees)
    raw = []
    for each in values[1:]:
        scale = spread * math.sqrt(1 / len(values[0]) + 1 / len(each))
        difference = statistics.fmean(each) - statistics.fmean(values[0])
        raw.append(student(difference / scale, degrees) if scale else float(difference == 0))
    equal = [line.settings for line, p in zip(ranked[1:], holm(raw), strict=True) if p >= SIGNIFICANT]
    return [ranked[0].settings, *equal]


def _learners(count: int) -> str:
    return "1 learner" if count == 1 else f"{count} learners"


def _number(loss: float) -> str:
    return f"{loss:.3f}" if loss < math.inf else "not finite"
