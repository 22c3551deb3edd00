"""The network against the textbook recursion, and its size against the paper's."""

import numpy as np
import torch
from torch import Tensor

from dasr.config import MODELS
from dasr.models.acoustic import AcousticModel
from dasr.models.blstm import BLSTM


def test_the_swb2000_preset_has_the_papers_43_154_944_parameters() -> None:
    with torch.device("meta"):
        model = AcousticModel(MODELS["swb2000"], 260, 32_000)
    assert sum(parameter.numel() for parameter in model.parameters()) == 43_154_944


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def lstm_in_numpy(x: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Hochreiter & Schmidhuber with forget gates, gates in PyTorch's order: x [T, inputs] -> h [T, cells]."""
    cells = w_hh.shape[1]
    h, c, out = np.zeros(cells), np.zeros(cells), []
    for frame in x:
        i, f, g, o = np.split(w_ih @ frame + w_hh @ h + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out)


def test_the_network_follows_the_lstm_recursion_in_both_directions() -> None:
    network = BLSTM(6, 7, layers=2, cells=5, bottleneck=4).double().eval()
    network.initialise(seed=3)
    x = np.random.default_rng(0).normal(size=(9, 6))
    weights = {name: tensor.detach().numpy() for name, tensor in network.named_parameters()}
    hidden = x
    for layer in range(2):
        both = []
        for suffix, step in (("", 1), ("_reverse", -1)):
            w_ih, w_hh, b_ih, b_hh = (
                weights[f"lstm.{kind}_l{layer}{suffix}"]
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            both.append(lstm_in_numpy(hidden[::step], w_ih, w_hh, b_ih + b_hh)[::step])
        hidden = np.concatenate(both, axis=1)
    narrow = hidden @ weights["bottleneck.weight"].T + weights["bottleneck.bias"]
    expected = narrow @ weights["output.weight"].T + weights["output.bias"]
    actual = network(torch.from_numpy(x).unsqueeze(0), torch.tensor([9]))[0][0].detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def flat(seed: int) -> Tensor:
        network = BLSTM(5, 6, cells=4, bottleneck=3)
        network.initialise(seed)
        return torch.cat([parameter.reshape(-1) for parameter in network.parameters()])

    assert torch.equal(flat(1), flat(1))
    assert not torch.equal(flat(1), flat(2))
