"""Local optimizers on flat buffers against torch.optim, and the schedule against the paper's description."""

from typing import Any

import pytest
import torch

from dasr.config import complete
from dasr.learner import optimizer

ORACLES = {
    "sgd": (lambda w: torch.optim.SGD([w], lr=1), {}),
    "momentum": (lambda w: torch.optim.SGD([w], lr=1, momentum=0.9), {"momentum": 0.9}),
    "adamw": (lambda w: torch.optim.AdamW([w], lr=1, betas=(0.9, 0.95), weight_decay=0.1), {}),
}


@pytest.mark.parametrize("name", ORACLES)
def test_each_optimizer_steps_as_torchs_does_also_after_its_state_went_through_a_checkpoint(
    name: str,
) -> None:
    make_oracle, options = ORACLES[name]
    torch.manual_seed(0)
    weights = torch.randn(20, dtype=torch.float64)
    theirs = weights.clone().requires_grad_()
    oracle, mine = make_oracle(theirs), optimizer.make(name, weights, **options)
    for step in range(6):
        gradient, rate = torch.randn(20, dtype=torch.float64), 0.1 / (step + 1)
        oracle.param_groups[0]["lr"] = rate
        theirs.grad = gradient.clone()
        oracle.step()
        mine.step(weights, gradient, rate)
        state, mine = mine.state_dict(), optimizer.make(name, weights, **options)
        mine.load_state_dict(state)
    torch.testing.assert_close(weights, theirs.detach())


@pytest.mark.parametrize("name", ["sgd", "momentum"])
def test_weight_decay_shrinks_the_weights_by_rate_times_decay_besides_the_step(name: str) -> None:
    weights, gradient, mixed = torch.randn(3, 8, dtype=torch.float64)
    plain, decaying = optimizer.make(name, weights), optimizer.make(name, weights, decay=0.2)
    for added in ((), [(0.5, mixed)]):
        expected = plain.step(weights, gradient, 0.1, added, weights.clone()) - 0.1 * 0.2 * weights
        found = decaying.step(weights, gradient, 0.1, added, torch.empty_like(weights))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    if name == "sgd":
        assert decaying.elementwise
        half = slice(0, 4)
        found = decaying.step_part(weights[half], [(1.0, gradient[half])], 0.1, found[half])
        torch.testing.assert_close(found, 0.98 * weights[:4] - 0.1 * gradient[:4], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("options", "kind", "has"),
    [
        ({}, optimizer.Optimizer, {"decay": 0.0}),
        ({"momentum": 0.5}, optimizer.Momentum, {"momentum": 0.5}),
        ({"optimizer": {"kind": "momentum"}}, optimizer.Momentum, {"momentum": 0.9}),
        ({"optimizer": {"kind": "adamw"}}, optimizer.AdamW, {"beta2": 0.95, "decay": 0.1}),
        (
            {"optimizer": {"kind": "adamw", "beta2": 0.99, "weight_decay": 0}},
            optimizer.AdamW,
            {"beta2": 0.99, "decay": 0},
        ),
        ({"optimizer": {"weight_decay": 0.01}}, optimizer.Optimizer, {"decay": 0.01}),
    ],
)
def test_the_configured_optimizer_is_made(options: dict[str, Any], kind: type, has: dict[str, float]) -> None:
    made = optimizer.of(complete({"training": options}).training, clip=2.0)(torch.zeros(3))
    assert type(made) is kind and made.clip == 2.0
    assert {name: getattr(made, name) for name in has} == has


def test_clipping_shortens_long_gradients_only_and_leaves_the_gradient_itself_alone() -> None:
    weights, long, short = torch.zeros(2), torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
    sgd = optimizer.make("sgd", weights, clip=1.0)
    sgd.step(weights, long, 1.0)
    torch.testing.assert_close(weights, torch.tensor([-0.6, -0.8]))
    assert torch.equal(long, torch.tensor([3.0, 4.0]))
    sgd.step(weights, short, 1.0)
    torch.testing.assert_close(weights, torch.tensor([-0.9, -1.2]))
