"""What every kind of network promises: lengths, independence of padding, gradients, context."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from dasr.config import ModelConfig
from dasr.models import registry
from dasr.models.acoustic import AcousticModel
from dasr.models.flat import FlatModule
from dasr.models.network import Network

SMALL: dict[str, dict[str, Any]] = {
    "blstm": {"layers": 2, "cells": 5, "bottleneck": 4},
    "dnn": {"layers": 2, "width": 8},
    "tdnnf": {"layers": 2, "width": 8, "bottleneck": 4, "stride": 2},
    "conformer": {"layers": 2, "width": 8, "heads": 2, "kernel": 3},
}
KINDS = list(SMALL)


def small(kind: str, **more: Any) -> Network:
    torch.manual_seed(0)
    options = {name: option.default for name, option in registry.options(kind).items()}
    return registry.make(kind, 6, 7, {**options, **SMALL[kind], **more}).double().eval()


def whole(kind: str) -> AcousticModel:
    torch.manual_seed(0)
    place = {"options": SMALL[kind]} if kind != "blstm" else SMALL[kind]
    return AcousticModel(ModelConfig(kind=kind, subsampling=1, **place), 6, 7)


@pytest.mark.parametrize("kind", KINDS)
def test_an_utterance_gives_the_same_outputs_in_every_batch(kind: str) -> None:
    network, lengths = small(kind), torch.tensor([23, 9, 17, 4])
    frames = torch.randn(4, 23, 6, dtype=torch.float64)
    logits, given = network(frames, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, outputs = network(frames[row : row + 1, :length], torch.tensor([length]))
        assert int(given[row]) == int(outputs[0]) == alone.shape[1] == -(-length // network.subsampling)
        torch.testing.assert_close(logits[row, : alone.shape[1]], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["dnn", "tdnnf"])
def test_a_finite_network_gives_a_chunk_with_its_context_the_outputs_of_the_utterance(kind: str) -> None:
    model = whole(kind).double().eval()
    frames = torch.randn(1, 60, 6, dtype=torch.float64)
    margin, (begin, end) = model.margin, (20, 41)
    everything = model.network(frames, torch.tensor([60]))[0]
    chunk = model(frames[:, begin - margin : end + margin])
    torch.testing.assert_close(chunk, everything[:, begin:end], rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_groups_of_gradients_are_all_parameters_in_their_order(kind: str) -> None:
    network = small(kind)
    grouped = [parameter for group in network.gradient_groups() for parameter in group]
    assert [id(one) for one in grouped] == [id(one) for one in network.parameters()]


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_the_flat_gradient_is_announced_once_and_final(kind: str) -> None:
    network = small(kind)
    flat = FlatModule(network, network.gradient_groups())
    gradient = torch.full_like(flat.weights, 3.0)
    flat.point_gradients_at(gradient)
    arrived: list[tuple[int, Tensor]] = []
    loss = network(torch.randn(2, 12, 6, dtype=torch.float64), torch.tensor([12, 12]))[0].square().sum()
    flat.backward(loss, lambda part: arrived.append((int(part.storage_offset()), part.clone())))
    told = torch.cat([part for _, part in sorted(arrived, key=lambda one: one[0])])
    assert torch.equal(told, gradient)


class Unused(Network):
    """Its second layer takes no part."""

    name = "unused"

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(frames), lengths


def test_a_parameter_that_takes_no_part_has_a_gradient_of_zero_in_every_step() -> None:
    network = Unused()
    flat = FlatModule(network, [list(network.parameters())])
    gradient = torch.zeros_like(flat.weights)
    flat.point_gradients_at(gradient)
    arrived: list[int] = []
    for _ in range(2):
        loss = network(torch.randn(1, 4, 3), torch.tensor([4]))[0].sum()
        flat.backward(loss, lambda part: arrived.append(len(part)))
        assert arrived.pop() == 16 and not arrived
        assert bool((gradient[8:] == 0).all()) and bool((gradient[:8] != 0).any())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(kind: str) -> None:
    model, twin = whole(kind), whole(kind)

    def flat(one: AcousticModel, seed: int) -> Tensor:
        torch.rand(3)  # whoever else draws
        one.initialise(seed)
        return torch.cat([parameter.detach().reshape(-1) for parameter in one.parameters()])

    assert torch.equal(flat(model, 1), flat(twin, 1))
    assert not torch.equal(flat(model, 1), flat(twin, 2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 3, 30])
def test_every_frame_of_an_utterance_has_a_distribution(kind: str, frames: int) -> None:
    model = whole(kind)
    posteriors = model.log_posteriors(torch.randn(frames, 6))
    assert posteriors.shape == (frames, 7)
    torch.testing.assert_close(posteriors.exp().sum(1), torch.ones(frames))
    middle = model.subsampling // 2
    groups = model.log_posteriors_of_groups([torch.randn(frames, 6)])[0]
    assert len(groups) == len(range(middle, frames, model.subsampling))


def test_frames_of_groups_are_those_that_training_has_labels_for() -> None:
    model = whole("conformer").eval()
    frames = torch.randn(32, 6)
    logits = model.network(frames.unsqueeze(0), torch.tensor([32]))[0][0].log_softmax(1)
    torch.testing.assert_close(model.log_posteriors_of_groups([frames])[0], logits)
    torch.testing.assert_close(model.log_posteriors(frames)[2::4], logits)
