"""Loss against learners: which settings are best, and which are not told from them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from dasr.config import Run
from dasr.planning import scaling
from dasr.planning.target import Target
from dasr.planning.trials import Outcome


def outcomes(rule: str, learners: int, ends: Sequence[float], strategy: str = "sd") -> list[Outcome]:
    found = []
    for seed, end in enumerate(ends):
        run = Run(strategy, (), learners, 8 * learners, seed, (("rate_rule", rule),))
        curve = [4.0, end] if math.isfinite(end) else []
        found.append(Outcome(run, "c", [0.0, 9.0], curve, [0.0, 10.0] if curve else [], 0.0, 0.0, 0.0))
    return found


CLEAR = [
    *outcomes("linear", 1, [1.00, 1.01, 1.02]), *outcomes("sqrt", 1, [1.00, 1.01, 1.02]),
    *outcomes("linear", 16, [1.20, 1.21, 1.22]), *outcomes("sqrt", 16, [1.50, 1.51, 1.52]),
    *outcomes("linear", 64, [math.inf] * 3), *outcomes("sqrt", 64, [2.0, 2.01, 2.02]),
]  # fmt: skip


def test_the_sentence_says_how_the_loss_grows_and_where_the_settings_change() -> None:
    (said,) = scaling.sentences(CLEAR)
    assert said == (
        "sd: loss 1.010 with 1 learner, 2.010 with 64; best with rate_rule linear or rate_rule sqrt "
        "(1 learner); "
        "rate_rule linear (16 learners); rate_rule sqrt (64 learners)."
    )


def test_one_number_of_learners_is_no_scaling_and_single_is_left_out() -> None:
    assert scaling.sentences(outcomes("sqrt", 4, [1.0])) == []
    single = outcomes("sqrt", 1, [1.0], "single") + outcomes("sqrt", 2, [1.0], "single")
    assert scaling.sentences(single) == []


def test_where_everything_failed_nothing_is_best() -> None:
    failed = outcomes("sqrt", 2, [math.inf]) + outcomes("sqrt", 4, [math.inf])
    (said,) = scaling.sentences(failed)
    assert "not finite" in said and "nothing that was tried (2 to 4 learners)" in said


def test_time_to_a_target_is_the_mean_over_seeds_and_infinite_where_one_fails() -> None:
    (line,) = scaling.lines(outcomes("sqrt", 4, [1.0, 2.0]))["sd"]
    # from 4 to 1 and from 4 to 2 in 10 s: 3 after 10/3 and 5 s
    assert line.seconds(4, Target(3.0)) == pytest.approx((10 / 3 + 5) / 2)
    assert line.seconds(4, Target(1.5)) == math.inf
