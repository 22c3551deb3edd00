"""A run resumed from a checkpoint equals one never stopped, bit for bit."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from dasr.learner import optimizer
from dasr.learner.learner import Learner
from dasr.strategies import registry
from dasr.strategies.base import Strategy
from tests.support import recursion_trial

BY_MATRIX = ("sign", "1bit", "powersgd:1,saving=1")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in registry.names() if not registry.find(name).asynchronous),
    *(("sc-allreduce", {"compression": c}) for c in ("topk:0.3", "bf16")),
    *((name, {"compression": c}) for name in ("sc-allreduce", "sd") for c in BY_MATRIX),
    ("sd", {"mixing": "random-ring", "compression": "topk:0.3"}),
    ("sc-ps", {"servers": 2, "compression": "sign"}),
    ("delay-by-one", {"compression": "sign"}),
    ("bmuf", {"nesterov": True, "tau": 3, "compression": "topk:0.3"}),
    ("local", {"tau": 2, "compression": "sign"}),
    ("slowmo", {"inner": "sgp", "tau": 3}),
    ("sgp", {"compression": "sign"}),
    ("easgd", {"compression": "powersgd:1,saving=1"}),
    ("streaming-diloco", {"period": 4, "overlap": 3}),
    ("streaming-diloco", {"period": 4, "overlap": 3, "compression": "fp16"}),
]
SIZE, STEPS = 4, 12
Checkpoints = dict[int, bytes]


class Keeper:
    """Saves everything at the boundary before step `at`, as safe files hold it."""

    def __init__(self, strategy: Strategy, at: int, saved: Checkpoints):
        self.strategy, self.when, self.saved = strategy, at, saved

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        if learner.steps == self.when:
            stream = io.BytesIO()
            torch.save([learner.state_dict(), self.strategy.state_dict()], stream)
            self.saved[learner.world.rank] = stream.getvalue()
        return True

    def at(self, step: int, doing: str) -> None:
        pass


class First(Keeper):
    """Looks at the weights and the optimizer's state before the first step."""

    def __init__(self, strategy: Strategy, seen: dict[int, list[Any]]):
        super().__init__(strategy, -1, {})
        self.seen = seen

    async def on_step_boundary(self, learner: Learner, together: bool) -> bool:
        state = [learner.copy(), learner.optimizer.state["momentum"].clone()]
        self.seen.setdefault(learner.world.rank, state)
        return True


@pytest.mark.parametrize(("strategy", "options"), VARIANTS, ids=str)
def test_a_resumed_run_equals_one_never_stopped(strategy: str, options: dict[str, Any]) -> None:
    for stop in (3, 6, 9):
        saved: Checkpoints = {}

        def keep(learner: Learner, one: Strategy, stop: int = stop, saved: Checkpoints = saved) -> None:
            learner.keeper = Keeper(one, stop, saved)

        def restore(learner: Learner, one: Strategy, saved: Checkpoints = saved) -> None:
            state = torch.load(io.BytesIO(saved[learner.world.rank]), weights_only=True)
            learner.load_state_dict(state[0])
            one.load_state_dict(state[1])

        whole = recursion_trial.run(strategy, SIZE, STEPS, prepare=keep, **options)
        resumed = recursion_trial.run(strategy, SIZE, STEPS, prepare=restore, **options)
        assert resumed.learners[0].steps == STEPS
        assert np.array_equal(resumed.weights, whole.weights), f"stopped before step {stop}"


@pytest.mark.parametrize("strategy", ["ad", "h-ad", "ac-ps"])
def test_an_asynchronous_strategy_goes_on_from_its_state(strategy: str) -> None:
    saved: Checkpoints = {}

    def keep(learner: Learner, one: Strategy) -> None:
        learner.keeper = Keeper(one, 4, saved)

    def restore(learner: Learner, one: Strategy) -> None:
        state = torch.load(io.BytesIO(saved[learner.world.rank]), weights_only=True)
        learner.load_state_dict(state[0])
        one.load_state_dict(state[1])
        learner.world.shared.counters["batches"] = 4 * SIZE  # type: ignore[attr-defined]

    cluster = recursion_trial.cluster_of(2)
    whole = recursion_trial.run(strategy, SIZE, STEPS, cluster=cluster, prepare=keep)
    resumed = recursion_trial.run(strategy, SIZE, STEPS, cluster=cluster, prepare=restore)
    assert [one.steps for one in resumed.learners] == [STEPS] * SIZE
    np.testing.assert_allclose(resumed.weights.mean(0), whole.weights.mean(0), atol=0.1)


@pytest.mark.parametrize("later", [1, 2])
@pytest.mark.parametrize("behind", [0, 1], ids=["its leader", "the other one"])
def test_the_learners_of_a_node_are_equal_after_a_restart_though_they_saved_at_different_steps(
    behind: int, later: int
) -> None:
    """One of each node of two has an older checkpoint, or none; momentum would keep them apart, too."""
    for first in (0, 5):
        saved: Checkpoints = {}
        seen: dict[int, list[Any]] = {}

        def keep(learner: Learner, one: Strategy, first: int = first, saved: Checkpoints = saved) -> None:
            late = later if learner.world.rank % 2 != behind else 0
            learner.keeper = Keeper(one, first + late, saved)

        def restore(
            learner: Learner,
            one: Strategy,
            first: int = first,
            saved: Checkpoints = saved,
            seen: Any = seen,
        ) -> None:
            state = torch.load(io.BytesIO(saved[learner.world.rank]), weights_only=True)
            if state[0]["steps"]:
                learner.load_state_dict(state[0])
                one.load_state_dict(state[1])
            learner.world.shared.counters["batches"] = first * SIZE  # type: ignore[attr-defined]
            learner.keeper = First(one, seen)

        cluster, kind = recursion_trial.cluster_of(2), optimizer.Momentum
        recursion_trial.run("h-ad", SIZE, STEPS, cluster=cluster, prepare=keep, optimizer_=kind)
        resumed = recursion_trial.run("h-ad", SIZE, STEPS, cluster=cluster, prepare=restore, optimizer_=kind)
        for rank in range(SIZE):  # nothing is lost: they go on from what the other one has
            farthest = torch.load(io.BytesIO(saved[rank // 2 * 2 + 1 - behind]), weights_only=True)[0]
            expected = [farthest["weights"], farthest["optimizer"]["momentum"]]
            assert all(map(torch.equal, seen[rank], expected))
        assert np.array_equal(resumed.weights[::2], resumed.weights[1::2])
        assert not np.array_equal(resumed.weights[0], resumed.weights[2])


def test_the_learners_of_a_node_take_the_same_steps_while_the_learning_rate_changes() -> None:
    """Each claims batches of its own, so it would be elsewhere in the schedule."""
    cluster = recursion_trial.cluster_of(2)
    result = recursion_trial.run(
        "h-ad", SIZE, STEPS, cluster=cluster, rate=lambda samples: 0.01 + 1e-3 * samples
    )
    assert np.array_equal(result.weights[::2], result.weights[1::2])
