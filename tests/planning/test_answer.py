"""What a plan answers, from curves that are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from dasr.config import Run
from dasr.planning import answer
from dasr.planning.answer import Candidate
from dasr.planning.target import Target
from dasr.planning.trials import Outcome

TARGET = Target(2.0)


def outcome(strategy: str, seed: int, seconds: float, end: float = 1.0, learners: int = 4) -> Outcome:
    """A straight curve from 4 that reaches 2 after that time."""
    whole = seconds * (4 - end) / 2
    run = Run(strategy, (), learners, 32, seed)
    return Outcome(run, "here", [0.0, 1000.0], [4.0, end], [0.0, whole], 90.0, 0.25, 1.5)


def ranked(**times: Sequence[float]) -> list[Candidate]:
    return answer.candidates(
        [outcome(name, seed, each) for name, found in times.items() for seed, each in enumerate(found)],
        TARGET,
    )


def test_the_fastest_comes_first_with_the_geometric_mean_of_its_seeds() -> None:
    sd, ad = ranked(ad=[9.0, 16.0], sd=[4.0, 4.0])
    assert sd.name == "sd" and [sd.typical_s, ad.typical_s] == pytest.approx([4.0, 12.0])
    assert sd.seconds == pytest.approx([4.0, 4.0])
    assert sd.mb_to_target == pytest.approx(60.0)  # two thirds of the way from 4 to 1 are two thirds of 90


def test_a_strategy_that_one_seed_does_not_bring_there_is_not_the_answer() -> None:
    outcomes = [
        outcome("ad", 0, 1.0),
        outcome("ad", 1, 1.0, end=2.5),
        outcome("sd", 0, 9.0),
        outcome("sd", 1, 9.0),
    ]
    found = answer.candidates(outcomes, TARGET)
    assert [one.name for one in found] == ["sd", "ad"] and found[1].typical_s == math.inf
    said = answer.sentence(found, "'here'")
    assert said.startswith("On 'here' take sd: 9 s to ce <= 2")
    assert "Not reached by ad (best 1.000, reached in 1 of 2 seeds)" in said


def test_where_none_reaches_it_the_nearest_is_named() -> None:
    found = answer.candidates([outcome("ad", 0, 1.0, end=2.5), outcome("sd", 0, 1.0, end=2.2)], TARGET)
    assert answer.sentence(found, "x") == (
        "On x no strategy reaches ce <= 2 in this budget; nearest: sd (best 2.200)."
    )


def test_seeds_that_overlap_are_a_tie_and_seeds_that_do_not_are_none() -> None:
    apart = ranked(sd=[4.0, 4.1, 4.2], ad=[8.0, 8.2, 8.4])
    assert answer.ties(apart) == []
    assert "the runner-up is ad, 2 times as long" in answer.sentence(apart, "x")
    mixed = ranked(sd=[4.0, 9.0, 2.0], ad=[8.0, 3.0, 5.0])
    assert [one.name for one in answer.ties(mixed)] == ["ad"]
    assert "a tie with ad" in answer.sentence(mixed, "x")


def test_what_differs_by_less_than_the_simulator_errs_is_a_tie_however_sure_the_seeds() -> None:
    assert [one.name for one in answer.ties(ranked(sd=[4.0, 4.001, 4.002], ad=[4.4, 4.401, 4.402]))] == ["ad"]
    assert answer.ties(ranked(sd=[4.0, 4.001, 4.002], ad=[4.7, 4.701, 4.702])) == []


def test_the_test_of_two_strategies_is_students() -> None:
    # logs: means 0 and ln 2, deviations 0.1 each side: s^2 = 0.01, 4 degrees of freedom... by hand
    a, b = [math.exp(x) for x in (-0.1, 0.0, 0.1)], [2 * math.exp(x) for x in (-0.1, 0.0, 0.1)]
    (pair,) = answer._p_values(ranked(sd=a, ad=b)).values()
    t = math.log(2) / (0.1 * math.sqrt(2 / 3))  # 8.489
    assert t == pytest.approx(8.489, abs=1e-3)
    assert pair == pytest.approx(0.00106, rel=0.02)  # tables: t(4) = 8.610 for 0.001


def test_a_change_of_the_answer_is_reported_and_a_tie_is_called_one() -> None:
    base = ranked(sd=[4.0, 4.1, 4.2], ad=[8.0, 8.2, 8.4])
    other = ranked(sd=[40.0, 41.0, 42.0], ad=[8.0, 8.2, 8.4])
    assert answer.change(base, base, "Here") == "Here: still sd, 4.1 s."
    assert answer.change(base, other, "There") == "There: the answer changes to ad, 8.2 s."
    even = ranked(sd=[4.0, 4.1, 4.2], ad=[3.9, 4.0, 4.1])
    assert answer.change(base, even, "There") == "There: sd and ad tie, 4 s."


def test_one_seed_is_said_to_leave_chance() -> None:
    assert "one seed" in answer.sentence(ranked(sd=[4.0], ad=[9.0]), "x")


def test_sizes_are_told_apart_in_names() -> None:
    found = answer.candidates([outcome("ad", 0, 3.0), outcome("ad", 0, 2.0, learners=8)], TARGET)
    assert [one.name for one in found] == ["ad (L=8, B=32)", "ad (L=4, B=32)"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.05, "50 ms"), (12.34, "12.3 s"), (600, "10 min"), (1e6, "11.6 days")]
)
def test_durations_have_a_unit_that_suits(seconds: float, text: str) -> None:
    assert answer.duration(seconds) == text
