"""A learner's weights: deferred additions, symmetric memory, prefetching, read-only views."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.learner import optimizer
from dasr.learner.learner import Budget, Learner
from dasr.learner.optimizer import Optimizer
from dasr.tasks.task import Quadratic
from dasr.worlds.interface import World
from tests.learner.test_learner import OnPart, learner_in, simulate


@pytest.mark.parametrize(
    "then", ["update", "copy", "add", "add deferred", "weights", "compute", "state_dict"]
)
def test_a_deferred_addition_is_seen_by_the_next_reader(then: str) -> None:
    async def main(world: World) -> None:
        learner = learner_in(world, Budget(1, 1, 1), Quadratic(4, noise=0.0))
        before = learner.copy()
        learner.add([(2.0, torch.ones_like(before)), (-1.0, torch.ones_like(before))], deferred=True)
        match then:
            case "update":
                learner.update(torch.ones_like(before))
                torch.testing.assert_close(learner.weights, before + 1 - 0.1)
            case "copy":
                torch.testing.assert_close(learner.copy(), before + 1)
            case "add":
                learner.add(())
                torch.testing.assert_close(learner.weights, before + 1)
            case "add deferred":
                learner.add([(1.0, torch.ones_like(before))], deferred=True)
                torch.testing.assert_close(learner.copy(), before + 2)
            case "weights":
                torch.testing.assert_close(learner.weights, before + 1)
            case "compute":
                await learner.compute()
                torch.testing.assert_close(learner.gradient, before + 1)
            case "state_dict":
                torch.testing.assert_close(learner.state_dict()["weights"], before + 1)
        after = learner.weights.clone()
        learner.add(())
        torch.testing.assert_close(learner.weights, after)  # once, not twice

    simulate(main, 1)


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_an_update_by_parts_is_the_same_update(clip: float | None) -> None:
    """Without clipping part by part; with it from the whole gradient, which the parts were put into."""

    async def main(world: World) -> None:
        def learner() -> Learner:
            task = Quadratic(6, batch=1)
            return Learner(
                world, task, lambda weights: Optimizer(weights, clip), lambda samples: 0.1, Budget(1, 1, 1)
            )

        plain, ahead = learner(), learner()
        own, theirs = torch.randn(2, 6, dtype=torch.float64)
        plain.update((own + theirs) / 2)
        ahead.gradient.copy_(own)
        assert ahead.use_symmetric_weights() is (ahead.weights if clip is None else ahead.gradient)
        with ahead.sharded_update(1.0) as make:
            for where in (slice(2, 6), slice(0, 2)):
                make(where, [own[where], theirs[where]])
        ahead.update(mixed=[(1.0, torch.ones(6, dtype=torch.float64))])
        torch.testing.assert_close(ahead.weights, plain.weights + 1)
        assert ahead.steps == 1

    torch.manual_seed(1)
    simulate(main, 1)


class Taking(Quadratic):
    """It takes the weights itself, and tells how many of them at a time."""

    gradient_dtype = torch.float64

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension, batch=1, noise=0.0)
        self.point = torch.full((dimension,), torch.nan, dtype=torch.float64)
        self.taken: list[int] = []

    def load_weights(self, weights: Tensor, gradient: Tensor, where: slice = slice(None)) -> None:
        self.point[where] = weights[where]
        self.taken.append(len(weights[where]))

    def gradient(self, weights: Tensor, gradient: Tensor, ready: OnPart) -> Any:
        return super().gradient(self.point, gradient, ready)


@pytest.mark.parametrize(
    "then", ["nothing", "add", "update", "load", "copy_", "a part only", "updating again", "clip"]
)
def test_weights_taken_ahead_are_taken_again_only_if_they_changed(then: str) -> None:
    async def main(world: World) -> None:
        clip = 9.0 if then == "clip" else None
        task = Taking(6)
        learner = Learner(world, task, lambda w: Optimizer(w, clip), lambda samples: 0.1, Budget(9, 1, 1))
        await learner.compute()
        state = learner.state_dict()

        def elementwise(count: int = 2) -> None:
            with learner.sharded_update(1.0) as make:
                for where in (slice(2, 6), slice(0, 2)):
                    make(where, [learner.gradient[where]])
            for where in (slice(2, 6), slice(0, 2))[:count]:
                learner.prefetch_weights(where)

        elementwise(1 if then == "a part only" else 2)
        learner.update()
        changes: dict[str, Callable[[], object]] = {
            "add": lambda: learner.add([(1.0, torch.ones(6, dtype=torch.float64))]),
            "update": learner.update,
            "load": lambda: learner.load_state_dict(state),
            "copy_": lambda: learner.weights.copy_(torch.ones(6)),
            "updating again": lambda: elementwise(0),
        }
        changes.get(then, lambda: None)()
        task.taken.clear()
        if then == "update":
            learner.prefetch_weights(slice(0, 6))  # nothing was updated by parts
        await learner.compute()
        assert task.taken == ([] if then == "nothing" else [6])
        assert torch.equal(task.point, learner.weights)

    simulate(main, 1)


def test_weights_that_others_write_into_stay_where_they_are() -> None:
    async def main(world: World) -> None:
        learner = Learner(world, Quadratic(4, noise=0.0), Optimizer, lambda samples: 0.1, Budget(9, 1, 1))
        before = learner.copy()
        shared = learner.use_symmetric_weights()
        assert shared is learner.weights and torch.equal(shared, before)
        lent = learner.snapshot_view()
        await learner.compute()
        learner.update()
        learner.add([(1.0, torch.ones(4, dtype=torch.float64))])
        assert learner.use_symmetric_weights() is learner.weights is shared
        assert torch.equal(lent, before) and not torch.equal(shared, before)

    simulate(main, 1)


def learner_with(world: World, make: str) -> Learner:
    """One with that optimizer, whose gradients have no noise."""
    task = Quadratic(4, noise=0.0)
    return Learner(world, task, lambda w: optimizer.make(make, w), lambda samples: 0.1, Budget(9, 1, 1))


@pytest.mark.parametrize("make", ["sgd", "momentum", "adamw"])
def test_lent_weights_stay_as_they_are_whatever_follows(make: str) -> None:
    """The next change makes new weights, those after it are in place; the steps are the same."""

    async def main(world: World) -> None:
        plain, lending = learner_with(world, make), learner_with(world, make)
        for change in ("update", "add", "update", "add_soon"):
            lent = lending.snapshot_view()
            before = lent.clone()
            assert lent is lending.weights  # nothing was copied
            for each in (plain, lending):
                delta = [(1.0, torch.ones(4, dtype=torch.float64))]
                match change:
                    case "update":
                        await each.compute()
                        each.update()
                    case "add":
                        each.add(delta)
                    case "add_soon":
                        each.add(delta, deferred=True)
                        await each.compute()
            assert torch.equal(lent, before)
            torch.testing.assert_close(lending.weights, plain.weights)
            own = lending.weights
            lending.update()
            plain.update()
            assert lending.weights is own

    simulate(main, 1)


@pytest.mark.parametrize("make", ["sgd", "momentum", "adamw"])
@pytest.mark.parametrize("shared", [False, True])
def test_weights_that_become_a_vector_leave_it_as_it_is(make: str, shared: bool) -> None:
    """Again and again, in two places in turn; by parts where others write into the learner's own."""

    async def main(world: World) -> None:
        plain, other = learner_with(world, make), learner_with(world, make)
        if shared:
            other.use_symmetric_weights()
        places, model = set(), torch.empty(4, dtype=torch.float64)
        for step in range(4):
            model = model if step % 2 else torch.empty(4, dtype=torch.float64)  # the same one twice
            model.fill_(step)
            plain.weights.copy_(model)
            for where in (slice(2, 4), slice(0, 2)):
                other.assign(model, where)
            assert torch.equal(other.weights, model) and torch.equal(other.copy(), model)
            assert (other.weights is model) != (shared and make == "sgd")
            for each in (plain, other):
                await each.compute()
                each.update()
            assert torch.equal(model, torch.full_like(model, step))
            torch.testing.assert_close(other.weights, plain.weights)
            places.add(other.weights.data_ptr())
        assert len(places) == 1  # its own vector was kept

    simulate(main, 1)


def test_a_gradient_is_taken_where_the_update_by_parts_begins() -> None:
    """Also from weights that are another's and stay as they are; the parts that it gives are the new ones."""

    async def main(world: World) -> None:
        task = Taking(6)
        learner = Learner(world, task, Optimizer, lambda samples: 0.1, Budget(9, 1, 1))
        model = torch.full((6,), 7.0, dtype=torch.float64)
        learner.assign(model)
        with learner.sharded_update(1.0) as make:
            await learner.compute()
            parts = [make(where, [learner.gradient[where]]) for where in (slice(2, 6), slice(0, 2))]
        learner.update()
        assert torch.equal(task.point, model) and bool((model == 7).all())
        torch.testing.assert_close(learner.weights, model - 0.1 * learner.gradient)
        assert torch.equal(learner.weights, torch.cat(parts[::-1])) and learner.steps == 1

    simulate(main, 1)
