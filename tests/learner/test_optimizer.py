"""Local optimizers on flat buffers against torch.optim, and the schedule against the paper's description."""

import pytest
import torch

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


def test_clipping_shortens_long_gradients_only_and_leaves_the_gradient_itself_alone() -> None:
    weights, long, short = torch.zeros(2), torch.tensor([3.0, 4.0]), torch.tensor([0.3, 0.4])
    sgd = optimizer.make("sgd", weights, clip=1.0)
    sgd.step(weights, long, 1.0)
    torch.testing.assert_close(weights, torch.tensor([-0.6, -0.8]))
    assert torch.equal(long, torch.tensor([3.0, 4.0]))
    sgd.step(weights, short, 1.0)
    torch.testing.assert_close(weights, torch.tensor([-0.9, -1.2]))
