"""What failures cost: goodput, the part of a run's time that is not lost, to the first order.

A run whose learners need each other stops with any of its L learners and goes on from a checkpoint, on
average half an interval c old (Daly 2006, 10.1016/j.future.2004.11.016):

    goodput = 1 / (1 + (L / M) (c / 2 + R))         M: mean time between failures of one learner; R: restart

Where the others go on and a lost learner is replaced, it alone is missing for R:

    goodput = 1 / (1 + R / M)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from dasr.config import Run
from dasr.planning import answer
from dasr.planning.answer import Candidate
from dasr.planning.trials import Outcome
from dasr.strategies import registry
from dasr.worlds.simulated.clusters import Failures

RANGE_H = (1.0, 100_000.0)  # hours between the failures of one learner that are looked at
STEPS = 51  # between those, on a logarithmic scale


def goodput(run: Run, failures: Failures, checkpoint_s: float) -> float:
    """The part of the time that a run makes progress; `checkpoint_s`: from one checkpoint to the next."""
    apart, restart = failures.learner_hours * 3600, failures.restart_s
    if registry.find(run.strategy).replaceable and run.learners > 1:
        return 1 / (1 + restart / apart)
    return 1 / (1 + run.learners / apart * (checkpoint_s / 2 + restart))


def with_failures(
    outcomes: Sequence[Outcome], failures: Failures | None, checkpoint_s: float
) -> list[Outcome]:
    """The same trainings, each as much later as failures make it."""
    if failures is None:
        return list(outcomes)
    return [
        dataclasses.replace(
            one, seconds=[at / goodput(one.run, failures, checkpoint_s) for at in one.seconds]
        )
        for one in outcomes
    ]


def sentence(base: Sequence[Candidate], failures: Failures | None, checkpoint_s: float) -> str:
    """What failures take from each strategy, and how often they must come to change the answer; nothing where
    the cluster's description has none. `base`: ranked without failures."""
    if failures is None or not any(one.reaches for one in base):
        return ""
    parts = (f"{one.name} {100 * goodput(one.outcomes[0].run, failures, checkpoint_s):.3g} %" for one in base)
    said = (
        f"With a failure of each learner every {failures.learner_hours:g} h, {failures.restart_s:g} s to "
        f"replace it and a checkpoint every {checkpoint_s:g} s, goodput is: {', '.join(parts)}."
    )
    changed = turning_point(base, failures, checkpoint_s)
    if changed is None:
        return f"{said} However often they come, the answer stays {base[0].name}."
    hours, name = changed
    return f"{said} Where a learner fails every {hours:.2g} h or more often, the answer is {name}."


def turning_point(
    base: Sequence[Candidate], failures: Failures, checkpoint_s: float
) -> tuple[float, str] | None:
    """The largest time between failures, in hours, at which another strategy than without them is first and
    no tie with it; and which. None if there is none within RANGE_H."""
    least, most = (math.log(hours) for hours in RANGE_H)
    for number in range(STEPS):
        hours = math.exp(most - (most - least) * number / (STEPS - 1))
        rarer = dataclasses.replace(failures, learner_hours=hours)
        outcomes = [outcome for one in base for outcome in one.outcomes]
        ranked = answer.candidates(with_failures(outcomes, rarer, checkpoint_s), base[0].target)
        if ranked[0].name != base[0].name and base[0].name not in {one.name for one in answer.ties(ranked)}:
            return hours, ranked[0].name
    return None
