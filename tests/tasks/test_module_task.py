"""Any module with any loss: its gradient is autograd's, and its batches are shared out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dasr.tasks.module_task import ModuleTask


def loss(module: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    found: Tensor = (module(batch[0]) - batch[1]).square().mean()
    return found


def batch(index: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(index)
    return torch.randn(5, 3, generator=draw), torch.randn(5, 2, generator=draw)


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def test_learners_take_batches_in_turn_and_the_gradient_is_that_of_the_batch() -> None:
    own, gradient, arrived = module(), torch.zeros(8), list[int]()
    for rank in range(3):
        task = ModuleTask(own, loss, batch, rank=rank, size=3)
        for step in range(2):
            value = task.gradient(task.initial(), gradient, lambda part: arrived.append(part.numel()))
            index = step * 3 + rank
            assert task.describe_batch() == f"number {index}"
            own.zero_grad()
            expected = loss(own, batch(index))
            expected.backward()
            flat = torch.cat([p.grad.flatten() for p in own.parameters() if p.grad is not None])
            torch.testing.assert_close(gradient, flat)
            assert value == float(expected.detach())
    assert sum(arrived) == 6 * 8


def test_the_module_that_was_given_stays_as_it_is() -> None:
    own = module()
    before = own.weight.clone()  # type: ignore[operator]
    task = ModuleTask(own, loss, batch)
    task.gradient(torch.zeros(8), torch.zeros(8), lambda part: None)
    assert torch.equal(own.weight, before)  # type: ignore[arg-type]


def test_dropout_is_on_in_gradients_goes_on_after_a_checkpoint_and_is_off_in_evaluation() -> None:
    noisy = nn.Sequential(nn.Dropout(0.5), module())
    task, other = ModuleTask(noisy, loss, batch), ModuleTask(noisy, loss, batch)
    weights, gradient = task.initial(), torch.zeros(8)
    task.gradient(weights, gradient, lambda part: None)
    other.load_state_dict(task.state_dict())
    expected = task.gradient(weights, gradient, lambda part: None)
    assert other.gradient(weights, gradient, lambda part: None) == expected
    assert expected != float(loss(noisy.eval(), batch(1)).detach())
    assert ModuleTask(noisy, loss, batch).evaluate(weights, [batch(1)]) == float(
        loss(noisy.eval(), batch(1)).detach()
    )
