"""Learners that stop for a while, die, or are slow: what strategies do then (docs/reliability.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dasr.learner.learner import Budget
from dasr.planning.simulate import simulate
from dasr.strategies import registry
from dasr.strategies.h_ad import leaders
from dasr.worlds.simulated import presets
from dasr.worlds.simulated.clusters import Death, Pause, Slow
from dasr.worlds.simulated.simulation import LearnerLost
from tests.support import recursion_trial

SYNCHRONOUS = [name for name in registry.names() if not registry.find(name).asynchronous]
COMMUNICATING = [name for name in SYNCHRONOUS if name != "single"]
DETECT_S = recursion_trial.SECOND.detect_s


@pytest.mark.parametrize("strategy", COMMUNICATING)
def test_a_synchronous_strategy_stops_with_a_clear_error_in_bounded_time(strategy: str) -> None:
    cluster = recursion_trial.cluster_of(deaths=(Death(2, 7.5),))
    options: dict[str, Any] = {"tau": 2} if "tau" in registry.options(strategy) else {}
    options |= {"period": 4} if "period" in registry.options(strategy) else {}
    options |= {"switch": 3} if strategy == "post-local" else {}
    with pytest.raises(LearnerLost, match=r"learner 2 died at 7.5 s") as error:
        recursion_trial.run(strategy, 5, 40, cluster=cluster, **options)
    at = float(str(error.value).split(" s of virtual")[0].rsplit(" ", 1)[1])
    assert at <= 7.5 + DETECT_S + 4  # until the next step in which it is missed


@pytest.mark.parametrize("strategy", SYNCHRONOUS)
def test_a_pause_delays_a_synchronous_strategy_and_changes_nothing(strategy: str) -> None:
    still, paused = (
        recursion_trial.run(strategy, 5, 20, cluster=recursion_trial.cluster_of(pauses=pauses))
        for pauses in ((), (Pause(1, 6.5, 9.0),))
    )
    assert np.array_equal(still.weights, paused.weights)
    assert paused.seconds == pytest.approx(still.seconds + 9.0)


@pytest.mark.parametrize("factor", [2, 10, 100])
@pytest.mark.parametrize("strategy", COMMUNICATING)
def test_a_slow_learner_sets_the_pace_of_a_synchronous_strategy(strategy: str, factor: int) -> None:
    cluster = recursion_trial.cluster_of(slow=(Slow(3, factor),))
    assert recursion_trial.run(strategy, 5, 10, cluster=cluster).seconds == pytest.approx(10.0 * factor)


@pytest.mark.parametrize("factor", [2, 10, 100])
@pytest.mark.parametrize("strategy", ["ad", "ac-ps"])
def test_a_slow_learner_does_not_hold_an_asynchronous_strategy(strategy: str, factor: int) -> None:
    """A learner of speed 1/factor holds the end up by one of its gradients at most."""
    size, steps = 5, 60
    result = recursion_trial.run(
        strategy, size, steps, cluster=recursion_trial.cluster_of(slow=(Slow(3, factor),))
    )
    ideal = size * steps / (size - 1 + 1 / factor)
    assert result.seconds <= ideal + factor + 1
    spread = np.abs(result.weights - result.weights.mean(axis=0)).max()
    assert spread < 0.1  # its late gradients have spread too


@pytest.mark.parametrize("mixing", ["ring", "random-ring", "random-pairs"])
def test_with_one_of_eight_learners_ten_times_slower_ad_keeps_its_speed_and_all_reduce_a_tenth(
    mixing: str,
) -> None:
    cluster = replace(presets.load("paper"), learners_per_node=1, slow=(Slow(3, 10.0),))
    own_speeds = 7 + 1 / 10
    ad = simulate("ad", Budget(150, 8 * 128, 8), cluster, options={"mixing": mixing})
    assert ad.speedup >= 0.85 * own_speeds
    assert 0.09 * 8 <= simulate("sc-allreduce", Budget(50, 8 * 128, 8), cluster).speedup <= 0.1 * 8


MIXINGS: list[tuple[str, dict[str, Any]]] = [
    ("ad", {}),
    ("ad", {"mixing": "random-ring"}),
    ("ad", {"mixing": "random-pairs"}),
    ("ad", {"mixing": "exponential"}),
    ("ad", {"mixing": "uniform"}),
    ("ad", {"compression": "sign"}),
    ("h-ad", {}),
    ("h-ad", {"mixing": "random-pairs"}),
]


@pytest.mark.parametrize("dead", [(0,), (3,), (1, 4), (0, 1), (2, 3, 4, 5)])
@pytest.mark.parametrize(("strategy", "options"), MIXINGS, ids=str)
def test_survivors_go_on_and_mix_doubly_stochastically(
    strategy: str, options: dict[str, Any], dead: tuple[int, ...]
) -> None:
    """The rest of the budget is spent by those that are left, and their models come together."""
    per_node = 2 if strategy == "h-ad" else 1
    deaths = tuple(Death(rank, 6.3 + 0.4 * place) for place, rank in enumerate(dead))
    result = recursion_trial.run(
        strategy, 6, 50, cluster=recursion_trial.cluster_of(per_node, deaths=deaths), **options
    )
    left = [rank for rank in range(6) if rank not in dead]
    leads = leaders([rank // per_node for rank in range(6)], tuple(left))
    for rank in leads if len(leads) > 1 else ():  # the last one mixes with nobody
        mixing = result.strategies[rank].gossip.mixing  # type: ignore[attr-defined]
        t = mixing.mixing_matrix(3)
        assert not set(mixing.members) & set(dead)
        np.testing.assert_allclose(t.sum(axis=0), 1)
        np.testing.assert_allclose(t.sum(axis=1), 1)
    computed = sum(learner.task.steps for learner in result.learners)  # type: ignore[attr-defined]
    assert 6 * 50 - 3 * len(dead) <= computed <= 6 * 50  # a batch that died with its learner is lost
    weights = result.weights[left]
    assert np.abs(weights - weights.mean(axis=0)).max() < (0.4 if "compression" in options else 0.1)


def test_a_server_goes_on_without_a_lost_learner_and_the_run_ends_when_the_server_is_lost() -> None:
    result = recursion_trial.run("ac-ps", 5, 30, cluster=recursion_trial.cluster_of(deaths=(Death(2, 6.5),)))
    assert sum(learner.steps for learner in result.learners) >= 5 * 30 - 1
    np.testing.assert_array_equal(result.weights[0], result.weights[4])
    with pytest.raises(LearnerLost, match="learner 0 died"):
        recursion_trial.run("ac-ps", 5, 30, cluster=recursion_trial.cluster_of(deaths=(Death(0, 6.5),)))


@pytest.mark.parametrize("strategy", ["ad", "ac-ps"])
def test_a_pause_of_one_costs_an_asynchronous_strategy_its_share_only(strategy: str) -> None:
    result = recursion_trial.run(
        strategy, 5, 60, cluster=recursion_trial.cluster_of(pauses=(Pause(3, 10.5, 20.0),))
    )
    assert sum(learner.steps for learner in result.learners) == 5 * 60
    assert result.seconds <= 60 + 20 / 5 + 3
