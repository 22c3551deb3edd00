"""The answer of a plan: which strategy reaches the target first on a cluster, as far as seeds tell.

Times to the target are compared as logarithms: Student's t with the spread pooled over all strategies, all
pairs, corrected by Holm. Two that the seeds do not tell apart are a tie, and so are two that differ by less
than the simulator errs.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from dasr.planning.target import Target
from dasr.planning.trials import Outcome
from dasr.results.significance import SIGNIFICANT, holm, student

SIMULATOR_ERROR = 0.15  # of a step's predicted time: the goal that docs/prediction.md is measured against


@dataclass(frozen=True)
class Candidate:
    """A strategy (with learners and batch) on a cluster, over its seeds."""

    name: str
    outcomes: tuple[Outcome, ...]
    target: Target

    @property
    def seconds(self) -> list[float]:
        """To the target, of the seeds that reach it."""
        found = [self.target.reached(one.loss, one.seconds) for one in self.outcomes]
        return [seconds for seconds in found if seconds is not None]

    @property
    def reaches(self) -> bool:
        """Whether every seed does."""
        return len(self.seconds) == len(self.outcomes)

    @property
    def typical_s(self) -> float:
        """Geometric mean over seeds; infinite where one does not reach it."""
        return statistics.geometric_mean(self.seconds) if self.reaches else math.inf

    @property
    def best_loss(self) -> float:
        """The lowest of all points and seeds."""
        return min((loss for one in self.outcomes for loss in one.loss), default=math.inf)

    @property
    def final_loss(self) -> float:
        """Mean over seeds."""
        ends = [one.loss[-1] for one in self.outcomes if one.loss]
        return statistics.fmean(ends) if len(ends) == len(self.outcomes) else math.inf

    @property
    def mb_to_target(self) -> float:
        """Sent by each learner until then; mean over the seeds that reach it."""
        found = [
            self.target.reached(one.loss, [one.mb_sent * n / one.samples[-1] for n in one.samples])
            for one in self.outcomes
        ]
        known = [megabytes for megabytes in found if megabytes is not None]
        return statistics.fmean(known) if known else math.inf

    @property
    def wait_fraction(self) -> float:
        return statistics.fmean(one.wait_fraction for one in self.outcomes)

    @property
    def staleness(self) -> float:
        return statistics.fmean(one.staleness for one in self.outcomes)


def candidates(outcomes: Sequence[Outcome], target: Target) -> list[Candidate]:
    """Fastest first; those that do not reach the target last, by their loss."""
    groups: dict[tuple[str, int, int], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.run.label, one.run.learners, one.run.batch), []).append(one)
    sizes = {key[1:] for key in groups if not key[0].startswith("single")}
    found = [
        Candidate(label if len(sizes) < 2 else f"{label} (L={learners}, B={batch})", tuple(members), target)
        for (label, learners, batch), members in groups.items()
    ]
    return sorted(found, key=lambda one: (one.typical_s, one.best_loss))


def ties(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Those that reach the target and are not shown to differ from the fastest, without it."""
    able = [one for one in ranked if one.reaches]
    p = _p_values(able)
    return [
        one
        for place, one in enumerate(able[1:], 1)
        if p[0, place] >= SIGNIFICANT or one.typical_s < (1 + SIMULATOR_ERROR) * able[0].typical_s
    ]


def _p_values(able: Sequence[Candidate]) -> dict[tuple[int, int], float]:
    """Corrected p of each pair, by places; 0 where one seed each leaves no spread to test against."""
    logs = [[math.log(max(seconds, 1e-12)) for seconds in one.seconds] for one in able]
    pairs = list(itertools.combinations(range(len(able)), 2))
    degrees = sum(len(each) - 1 for each in logs)
    if not degrees:
        return dict.fromkeys(pairs, 0.0)
    squares = sum(sum((value - statistics.fmean(each)) ** 2 for value in each) for each in logs)
    spread = math.sqrt(squares / degrees)
    raw = []
    for a, b in pairs:
        difference = statistics.fmean(logs[a]) - statistics.fmean(logs[b])
        scale = spread * math.sqrt(1 / len(logs[a]) + 1 / len(logs[b]))
        raw.append(student(difference / scale, degrees) if scale else float(difference == 0))
    return dict(zip(pairs, holm(raw), strict=True))


def sentence(ranked: Sequence[Candidate], place: str) -> str:
    """What to take on that cluster, and by how much the runner-up loses."""
    able = [one for one in ranked if one.reaches]
    if not able:
        best = min(ranked, key=lambda one: one.best_loss)
        return f"On {place} no strategy reaches {ranked[0].target} in this budget; nearest: {_nearest(best)}."
    first, equal = able[0], ties(ranked)
    said = f"On {place} take {first.name}: {duration(first.typical_s)} to {first.target}"
    if equal:
        said += f", a tie with {_listed(equal)}: seeds and the simulator's error do not tell them apart"
    others = [one for one in able[1:] if one not in equal]
    if others:
        ratio = others[0].typical_s / first.typical_s
        said += (
            f"; {'then comes' if equal else 'the runner-up is'} {others[0].name}, {ratio:.2g} times as long"
        )
    if len(first.outcomes) == 1:
        said += "; one seed, so chance is not ruled out"
    never = [one for one in ranked if not one.reaches]
    if never:
        said += f". Not reached by {'; '.join(_nearest(one) for one in never)}"
    return said + "."


def _nearest(one: Candidate) -> str:
    if not any(each.loss for each in one.outcomes):
        return f"{one.name} ({one.outcomes[0].failed or 'it has no curve'})"
    count = f" in {len(one.seconds)} of {len(one.outcomes)} seeds" if one.seconds else ""
    return f"{one.name} (best {one.best_loss:.3f}{', reached' + count if count else ''})"


def _listed(some: Sequence[Candidate]) -> str:
    return ", ".join(one.name for one in some)


def change(base: Sequence[Candidate], other: Sequence[Candidate], place: str) -> str:
    """Whether the answer is another one there."""
    if not any(one.reaches for one in base):
        return ""
    if not any(one.reaches for one in other):
        return f"{place}: no strategy reaches the target."
    was, becomes = base[0], other[0]
    if becomes.name == was.name:
        return f"{place}: still {was.name}, {duration(becomes.typical_s)}."
    if was.name in {one.name for one in ties(other)}:
        return f"{place}: {was.name} and {becomes.name} tie, {duration(becomes.typical_s)}."
    return f"{place}: the answer changes to {becomes.name}, {duration(becomes.typical_s)}."


def duration(seconds: float) -> str:
    """In a unit that suits."""
    for factor, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= 3 * factor or unit == "s":
            return f"{seconds / factor:.3g} {unit}" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"
    raise AssertionError
