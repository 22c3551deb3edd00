"""Which word error rates differ: utterances, seeds, and the number of comparisons."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dasr.errors import UserError
from dasr.results import ranking
from dasr.results.ranking import Matrix, Spread
from dasr.results.significance import paired_p_value
from tests.results.test_significance import corrupted, speech

NOTHING = Spread(0.0, math.inf)


def errors(references: dict[str, list[str]], said: dict[str, list[str]], folder: Path) -> Matrix:
    folder.mkdir()
    lines = [f"{' '.join(words)} ({utterance})\n" for utterance, words in said.items()]
    (folder / "test.trn").write_text("".join(lines))
    return ranking.errors_of(references, folder)


@pytest.mark.parametrize(("rate", "seed"), [(0.05, 2), (0.09, 4), (0.12, 5)])
def test_without_spread_between_runs_p_is_that_of_the_paired_bootstrap(
    rate: float, seed: int, tmp_path: Path
) -> None:
    references = speech(7, 120)
    ours, theirs = corrupted(references, 0.05, 1), corrupted(references, rate, seed)
    both = {
        "a": errors(references, ours, tmp_path / "a")[None],
        "b": errors(references, theirs, tmp_path / "b")[None],
    }
    found = ranking.p_values(both, ranking.lengths(references), NOTHING)
    oracle = paired_p_value(references, ours, theirs)  # kaldialign's own replications
    assert found[frozenset("ab")] == pytest.approx(oracle, abs=0.02)


def test_equal_systems_do_not_differ() -> None:
    same = np.ones((1, 50))
    assert ranking.p_values({"a": same, "b": same}, np.full(50, 5.0), NOTHING)[frozenset("ab")] == 1.0


def test_p_is_the_normal_tail_where_all_utterances_are_alike() -> None:
    # WER 20 and 18 %, one run each, s = 1: D = 2, its deviation sqrt(2)
    # so two-sided 1 - erf(D / sqrt(2) / sqrt(2))
    systems = {"a": np.full((1, 40), 1.0), "b": np.full((1, 40), 0.9)}
    words = np.full(40, 5.0)
    (p,) = ranking.p_values(systems, words, Spread(1.0, math.inf)).values()
    assert p == pytest.approx(1 - math.erf(1.0), abs=0.02)
    more: dict[str, Matrix] = {name: np.repeat(one, 4, axis=0) for name, one in systems.items()}
    (p,) = ranking.p_values(more, words, Spread(1.0, math.inf)).values()
    assert p == pytest.approx(1 - math.erf(2.0), abs=0.005)


def test_with_few_seeds_the_tail_is_that_of_student() -> None:
    # three degrees of freedom: t = 2 leaves 0.1393 on both sides (tables of Student's t)
    systems: dict[str, Matrix] = {"a": np.full((2, 40), 1.0), "b": np.full((2, 40), 0.9)}
    (p,) = ranking.p_values(systems, np.full(40, 5.0), Spread(1.0, 3)).values()
    assert p == pytest.approx(0.1393, abs=0.02)


def test_runs_that_differ_by_chance_alone_seldom_have_a_winner() -> None:
    draw = np.random.default_rng(1)
    words, wins = np.full(60, 6.0), 0
    for _ in range(60):
        levels = 0.5 + 0.05 * draw.normal(size=(4, 2, 1))  # of each run: the seed decides
        found: dict[str, Matrix] = {}
        for name, level in enumerate(levels):
            found[str(name)] = draw.poisson(np.broadcast_to(level, (2, 60))).astype(np.float64)
        rates: dict[str, Matrix] = {n: one.sum(1) / 3.6 for n, one in found.items()}
        spread = ranking.spread_of([list(one) for one in rates.values()])
        assert spread is not None
        lowest = min(rates, key=lambda n: rates[n].mean())
        tested = ranking.p_values(found, words, spread)
        wins += all(p < 0.05 for pair, p in tested.items() if lowest in pair)
    assert wins <= 6  # 3 in the mean at most: more than 6 of 60 happens in one of 30 trials


def test_the_spread_is_pooled_over_strategies_and_known_only_where_none_has_seeds() -> None:
    # variances 2 and 0.5 of two runs, one run that tells nothing
    pooled = ranking.spread_of([[1.0, 3.0], [5.0, 6.0], [9.0]])
    assert pooled is not None and pooled.degrees == 2
    assert pooled.points == pytest.approx(math.sqrt(1.25))
    assert ranking.spread_of([[1.0], [2.0]], 0.7) == Spread(0.7, math.inf)
    assert ranking.spread_of([[1.0], [2.0]]) is None


def test_runs_that_were_scored_on_other_utterances_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="other utterances"):
        errors({"a": ["one"], "b": ["two"]}, {"a": ["one"]}, tmp_path / "x")
