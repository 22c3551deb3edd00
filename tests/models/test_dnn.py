"""The feed-forward network against its layers written in NumPy."""

from __future__ import annotations

import numpy as np
import torch

from dasr.models.dnn import DNN


def test_it_is_linear_layers_with_relu_between_them() -> None:
    torch.manual_seed(0)
    network = DNN(5, 3, layers=2, width=7).double().eval()
    frames = torch.randn(2, 4, 5, dtype=torch.float64)
    x = frames.numpy()
    a, c, d, e, f, g = (parameter.detach().numpy() for parameter in network.parameters())
    expected = np.maximum(np.maximum(x @ a.T + c, 0) @ d.T + e, 0) @ f.T + g
    logits, lengths = network(frames, torch.tensor([4, 2]))
    np.testing.assert_allclose(logits.detach().numpy(), expected, atol=1e-12)
    assert lengths.tolist() == [4, 2]


def test_dropout_is_for_training_only() -> None:
    network = DNN(5, 3, layers=1, width=64, dropout=0.5)
    frames, lengths = torch.randn(1, 4, 5), torch.tensor([4])
    assert not torch.equal(network(frames, lengths)[0], network(frames, lengths)[0])
    network.eval()
    assert torch.equal(network(frames, lengths)[0], network(frames, lengths)[0])
