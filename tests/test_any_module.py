"""`dasr.compare` on a module that has nothing to do with speech, in a few lines of user code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import dasr
from dasr.errors import UserError

Pair = tuple[Tensor, Tensor]


def spirals(count: int = 24, size: int = 16) -> list[Pair]:
    """Points of two classes that no line divides."""
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(count, size, 2, generator=draw)
    return [(one, (one[:, 0] * one[:, 1] > 0).long()) for one in x]


def cross_entropy(module: nn.Module, batch: Pair) -> Tensor:
    return functional.cross_entropy(module(batch[0]), batch[1])


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))


@pytest.mark.slow  # it draws: matplotlib
def test_every_strategy_learns_and_the_result_is_a_table_and_a_figure(tmp_path: Path) -> None:
    strategies = ["ad", {"strategy": "bmuf", "tau": 4, "learning_rate": 0.6}]
    found = dasr.compare(
        small(), cross_entropy, spirals(), strategies=strategies, learners=2, seeds=2, steps=60,
        learning_rate=1.0,
    )  # fmt: skip
    names = [(one.strategy, one.seed) for one in found.results]
    assert names == [("ad", 0), ("ad", 1), ("bmuf", 0), ("bmuf", 1)]
    assert all(one.curve[-1]["loss"] < one.curve[0]["loss"] - 0.1 for one in found.results)
    assert len({one.weights_sha256 for one in found.results}) == 4
    assert "bmuf" in str(found) and "loss" in str(found)
    found.draw(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").read_text().startswith("<?xml")


def test_one_learner_is_plain_gradient_descent_on_the_batches_in_order() -> None:
    module, batches = small(), spirals()
    found = dasr.compare(
        module, cross_entropy, lambda index: batches[index], strategies=["single"], seeds=1, steps=5
    )
    for batch in batches[:5]:
        module.zero_grad()
        cross_entropy(module, batch).backward()
        with torch.no_grad():
            for parameter in module.parameters():
                assert parameter.grad is not None
                parameter.sub_(0.1 * parameter.grad)
    expected = np.mean([float(cross_entropy(module, batch).detach()) for batch in batches[:8]])
    assert found.results[0].curve[-1]["loss"] == pytest.approx(expected, abs=1e-6)


def test_the_module_is_left_as_it_was_and_seconds_are_virtual() -> None:
    module = small()
    before = [parameter.clone() for parameter in module.parameters()]
    found = dasr.compare(
        module, cross_entropy, spirals(), strategies=["local"], cluster="ideal", learners=2, seeds=1,
        steps=10, step_seconds=3.0,
    )  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert found.results[0].seconds == pytest.approx(30.0)


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UserError, match="no strategy 'sc-alreduce'; did you mean 'sc-allreduce'"):
        dasr.compare(small(), cross_entropy, spirals(), strategies=["sc-alreduce"])
    with pytest.raises(UserError, match="there is no batch"):
        dasr.compare(small(), cross_entropy, [], held_out=[])
    with pytest.raises(AttributeError, match="no attribute 'compair'"):
        dasr.compair  # noqa: B018
