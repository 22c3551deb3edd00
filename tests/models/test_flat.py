"""One flat buffer for weights and one for gradients."""

import torch
from torch import Tensor
from torch.nn import functional

from dasr.config import ModelConfig
from dasr.models.acoustic import AcousticModel
from dasr.models.flat import FlatModule

CONFIG = ModelConfig(layers=2, cells=6, bottleneck=5, subsampling=1)


def loss_of(model: AcousticModel, frames: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(model(frames).flatten(0, 1), labels.flatten())


def test_the_flat_gradient_is_autograds_and_arrives_once_from_the_last_layers_to_the_first() -> None:
    torch.manual_seed(0)
    model, twin = AcousticModel(CONFIG, 4, 9), AcousticModel(CONFIG, 4, 9)
    twin.load_state_dict(model.state_dict())
    frames, labels = torch.randn(3, 7, 4), torch.randint(9, (3, 7))
    loss_of(twin, frames, labels).backward()
    grads = [parameter.grad for parameter in twin.parameters() if parameter.grad is not None]
    expected = torch.cat([grad.reshape(-1) for grad in grads])

    flat = FlatModule(model, model.network.gradient_groups())
    gradient = torch.full_like(flat.weights, 7.0)  # whatever an earlier step left there
    flat.point_gradients_at(gradient)
    arrived: list[tuple[int, Tensor]] = []
    for _ in range(2):
        arrived.clear()
        flat.backward(
            loss_of(model, frames, labels),
            lambda part: arrived.append((int(part.storage_offset()), part.clone())),
        )
    torch.testing.assert_close(gradient, expected)
    starts = [start for start, _ in arrived]
    assert len(starts) == 3 and starts == sorted(starts, reverse=True)
    torch.testing.assert_close(torch.cat([part for _, part in reversed(arrived)]), expected)


def test_changing_the_flat_weights_changes_the_model() -> None:
    model = AcousticModel(CONFIG, 4, 9)
    flat = FlatModule(model)
    flat.weights.zero_()
    assert all(bool((parameter == 0).all()) for parameter in model.parameters())
    assert flat.weights.numel() == sum(parameter.numel() for parameter in model.parameters())
