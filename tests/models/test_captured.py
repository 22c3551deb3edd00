"""Forward and backward pass of any network, in parts: on a CPU uncaptured, on a GPU as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from dasr.models.captured import CapturedNetwork, CapturedPass

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 5))


def groups(module: nn.Module) -> list[list[nn.Parameter]]:
    return [list(layer.parameters()) for layer in module.children() if list(layer.parameters())]


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def squares(targets: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    def loss(outputs: Tensor) -> tuple[Tensor, Tensor]:
        value = (outputs - targets).square().mean()
        return value, value

    return loss


def by_autograd(weights: Tensor, inputs: Tensor, targets: Tensor) -> tuple[float, Tensor]:
    module = network().to(weights.device)
    nn.utils.vector_to_parameters(weights, module.parameters())
    loss, _ = squares(targets)(module(inputs))
    loss.backward()
    return float(loss.detach()), flat([p.grad for p in module.parameters() if p.grad is not None])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "gradient_dtype", "tolerance"),
    [
        (torch.float32, torch.float32, 1e-6),
        (torch.bfloat16, torch.float32, 0.05),
        (torch.bfloat16, torch.bfloat16, 0.05),
    ],
)
def test_the_gradient_of_two_shapes_is_that_of_autograd_at_the_weights_that_were_taken(
    device: str, dtype: torch.dtype, gradient_dtype: torch.dtype, tolerance: float
) -> None:
    module = network()
    weights = flat(list(module.parameters())).to(device) * 1.5
    gradient = torch.zeros_like(weights, dtype=gradient_dtype)
    captured = CapturedNetwork(module, groups(module), gradient, dtype)
    captured.take(weights)
    passes = {}
    for rows in (7, 3, 7, 3):
        inputs, targets = torch.randn(rows, 6, device=device), torch.randn(rows, 5, device=device)
        if rows not in passes:
            buffers = (torch.zeros_like(inputs),)
            passes[rows] = CapturedPass(captured, lambda x: (module(x.to(dtype)),), buffers)
        passes[rows].inputs[0].copy_(inputs)
        loss = passes[rows].run(squares(targets), lambda part: None)
        expected_loss, expected = by_autograd(weights, inputs, targets)
        assert float(loss) == pytest.approx(expected_loss, rel=tolerance)
        assert (gradient.float() - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("device", DEVICES)
def test_each_slice_is_announced_once_last_layers_first_and_is_final_then(device: str) -> None:
    module = network()
    weights = flat(list(module.parameters())).to(device)
    gradient = torch.zeros_like(weights)
    captured = CapturedNetwork(module, groups(module), gradient, torch.bfloat16)
    captured.take(weights)
    inputs, targets = torch.randn(4, 6, device=device), torch.randn(4, 5, device=device)
    one = CapturedPass(captured, lambda x: (module(x.bfloat16()),), (inputs,))
    announced: list[tuple[int, Tensor]] = []
    one.run(squares(targets), lambda part: announced.append((int(part.storage_offset()), part.clone())))
    begins = [begin for begin, _ in announced]
    assert begins == sorted(begins, reverse=True)
    assert sum(len(part) for _, part in announced) == len(gradient)
    for begin, part in announced:
        assert torch.equal(part, gradient[begin : begin + len(part)])


@pytest.mark.parametrize("device", DEVICES)
def test_weights_may_be_taken_in_parts(device: str) -> None:
    module = network()
    weights = torch.randn(sum(p.numel() for p in module.parameters()), device=device)
    captured = CapturedNetwork(module, groups(module), torch.zeros_like(weights), torch.float32)
    for part in (slice(0, 50), slice(50, None)):
        captured.take(weights, part)
    assert torch.equal(flat(list(module.parameters())), weights)


@pytest.mark.parametrize("device", DEVICES)
def test_inputs_may_change_once_they_were_read(device: str) -> None:
    module = network()
    weights = flat(list(module.parameters())).to(device)
    gradient = torch.zeros_like(weights)
    captured = CapturedNetwork(module, groups(module), gradient, torch.float32)
    captured.take(weights)
    inputs, targets = torch.randn(4, 6, device=device), torch.randn(4, 5, device=device)
    _, expected = by_autograd(weights, inputs.clone(), targets)
    one = CapturedPass(captured, lambda x: (module(x * 1.0),), (inputs,))

    def overwrite() -> None:
        inputs.zero_()

    one.run(squares(targets), lambda part: None, overwrite)
    assert (gradient - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("device", DEVICES)
def test_what_the_forward_pass_gives_besides_outputs_reaches_the_loss(device: str) -> None:
    module = network()
    gradient = torch.zeros(sum(p.numel() for p in module.parameters()), device=device)
    captured = CapturedNetwork(module, groups(module), gradient, torch.float32)
    inputs = torch.randn(4, 6, device=device)
    one = CapturedPass(captured, lambda x: (module(x), 2 * x), (inputs,))

    def loss(outputs: Tensor, doubled: Tensor) -> tuple[Tensor, Tensor]:
        return outputs.sum(), doubled.sum()

    assert float(one.run(loss, lambda part: None)) == pytest.approx(2 * float(inputs.sum()), rel=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_network_that_asks_the_host_runs_eagerly_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    module = network()
    weights = flat(list(module.parameters())).cuda()
    gradient = torch.zeros_like(weights)
    captured = CapturedNetwork(module, groups(module), gradient, torch.float32)
    captured.take(weights)
    inputs, targets = torch.randn(4, 6, device="cuda"), torch.randn(4, 5, device="cuda")

    def forward(x: Tensor) -> tuple[Tensor, ...]:
        return (module(x) if float(x.sum()) < 1e9 else x,)

    one = CapturedPass(captured, forward, (inputs,))
    one.run(squares(targets), lambda part: None)
    _, expected = by_autograd(weights, inputs, targets)
    assert (gradient - expected).norm() <= 1e-5 * expected.norm()
    assert "eagerly" in caplog.text


class ReadsItsInputs(nn.Module):
    """A network that no graph can hold: it looks at its inputs on the host. It draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        assert float(inputs.sum()) < 1e6
        outputs: Tensor = self.linear(nn.functional.dropout(inputs, 0.5))
        return outputs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_network_that_cannot_be_captured_runs_as_it_is_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module = ReadsItsInputs()
    gradient = torch.zeros(35, device="cuda")
    captured = CapturedNetwork(module, groups(module), gradient, torch.float32)
    targets = torch.randn(4, 5, device="cuda")
    passes = [
        CapturedPass(captured, lambda x: (module(x),), (torch.randn(rows, 6, device="cuda"),))
        for rows in (4, 4)
    ]
    torch.cuda.manual_seed(3)
    losses = [float(one.run(squares(targets), lambda part: None)) for one in passes]
    torch.cuda.manual_seed(3)
    assert losses == [float(one.run(squares(targets), lambda part: None)) for one in passes]
    assert len(caplog.messages) == 1 and "cannot be a CUDA graph" in caplog.messages[0]
